package pgtest

import (
	"os"
	"path/filepath"
	"time"
)

const (
	workspacePrefix = "tenancy-pgtest-"
	lockName        = "lock" // held for as long as the directory's test binary lives
)

// settling is how long a new directory may be without its lock being taken.
const settling = time.Minute

// sweep removes the directories in parent that killed test binaries left.
func sweep(parent string) {
	dirs, err := filepath.Glob(filepath.Join(parent, workspacePrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < settling {
			continue
		}
		if held := lock(filepath.Join(dir, lockName)); held != nil {
			_ = os.RemoveAll(dir) // another's directory cannot be removed, and stays
			_ = held.Close()
		}
	}
}
