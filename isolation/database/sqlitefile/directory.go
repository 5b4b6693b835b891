package sqlitefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

const (
	homePrefix = "t-"
	homeSuffix = ".db"
	workDir    = ".tenancy" // the lock, and files that are not finished
	dirMode    = 0o700
	fileMode   = 0o600
)

// sideSuffixes are what SQLite puts beside a file.
var sideSuffixes = [...]string{"-wal", "-shm", "-journal"}

// directory is where the homes are. Files are reached through root, which no name
// and no symbolic link leads out of; SQLite opens them by path.
type directory struct {
	*os.Root
	name string // absolute
}

func openDirectory(name string) (*directory, error) {
	if name == "" {
		return nil, errors.New("want a directory, not an empty name")
	}
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(abs, dirMode); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, err
	}
	d := &directory{Root: root, name: abs}
	if err := d.prepare(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return d, nil
}

// prepare checks the directory and makes the work directory with the lock file.
func (d *directory) prepare() error {
	if err := d.checkMode(); err != nil {
		return err
	}
	if err := d.Mkdir(workDir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := d.checkWorkDir(); err != nil {
		return err
	}
	f, err := d.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return err
	}
	return f.Close()
}

// checkMode refuses a directory in which others could plant files.
func (d *directory) checkMode() error {
	info, err := d.Stat(".")
	if err != nil {
		return err
	}
	now, err := os.Stat(d.name)
	if err != nil {
		return err
	}
	if !os.SameFile(info, now) {
		return fmt.Errorf("%w: %s is another directory than when it was opened; restart", isolation.ErrUnsafe, d.name)
	}
	if hasModes() && info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%w: others may write to %s; give it mode 0700", isolation.ErrUnsafe, d.name)
	}
	return nil
}

func (d *directory) checkWorkDir() error {
	for _, name := range []string{workDir, lockFile} {
		info, err := d.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) && name == lockFile {
			return nil
		}
		if err != nil {
			return err
		}
		if info.Mode().Type()&^fs.ModeDir != 0 || info.IsDir() != (name == workDir) {
			return fmt.Errorf("%w: %s is a link or the like; remove it", isolation.ErrUnsafe, d.path(name))
		}
	}
	return nil
}

// path returns the absolute path of a name in the directory.
func (d *directory) path(name string) string { return filepath.Join(d.name, name) }

// checkHome returns nil if id has a file that may be opened. Without one the
// error wraps isolation.ErrNotProvisioned.
func (d *directory) checkHome(id tenant.ID) error {
	info, err := d.Lstat(homeName(id))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: tenant %s has no file", isolation.ErrNotProvisioned, id)
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: %s is no regular file; remove it", isolation.ErrUnsafe, d.path(homeName(id)))
	}
	return nil
}

// discard removes a file if it is there.
func (d *directory) discard(name string) error {
	if err := d.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// discardSides removes what SQLite put beside a file.
func (d *directory) discardSides(name string) error {
	var err error
	for _, suffix := range sideSuffixes {
		err = errors.Join(err, d.discard(name+suffix))
	}
	return err
}

// sync makes names that were added or removed last.
func (d *directory) sync() error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be synced there
	}
	f, err := d.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// homeName returns the name of id's file. A valid ID has neither separators nor
// dots.
func homeName(id tenant.ID) string { return homePrefix + string(id) + homeSuffix }

// parseName returns whose home name is, or is beside.
func parseName(name string) (id tenant.ID, side, ok bool) {
	for _, suffix := range sideSuffixes {
		if home, cut := strings.CutSuffix(name, homeSuffix+suffix); cut {
			name, side = home+homeSuffix, true
			break
		}
	}
	label, cut := strings.CutSuffix(name, homeSuffix)
	if !cut {
		return "", false, false
	}
	if label, cut = strings.CutPrefix(label, homePrefix); !cut {
		return "", false, false
	}
	id, err := tenant.ParseID(label)
	return id, side, err == nil
}

// hasModes reports whether permission bits mean anything here.
func hasModes() bool { return runtime.GOOS != "windows" }
