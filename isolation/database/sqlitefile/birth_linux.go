package sqlitefile

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// birthOf tells the file at path from all that ever had its name, or returns "" if
// the file system does not know when it was made. A number alone is given to the
// next file.
func birthOf(path string) (string, error) {
	var stat unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_INO|unix.STATX_BTIME, &stat)
	if err != nil {
		return "", &os.PathError{Op: "statx", Path: path, Err: err}
	}
	if stat.Mask&unix.STATX_BTIME == 0 {
		return "", nil
	}
	return fmt.Sprintf("%d.%d.%d", stat.Ino, stat.Btime.Sec, stat.Btime.Nsec), nil
}
