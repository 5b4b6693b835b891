package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/tenancy-go/tenancy/tenant"
)

const (
	homePrefix = "t-"     // of a tenant's directory; no tenant's ID is reserved with it
	trashDir   = ".trash" // directories of tenants whose files are being removed
	treeDir    = "files"  // in a tenant's directory: the files
	tempDir    = "new"    // and those being written
	dirMode    = 0o700
	fileMode   = 0o600
)

// Disk is a [Store] in a directory of the file system, for any number of processes of
// one machine.
type Disk struct {
	config
	root    *os.Root
	locks   locks
	buffers sync.Pool // of *[]byte
}

var _ Store = (*Disk)(nil)

// NewDisk returns a store in dir, and makes dir with mode 0700 unless it exists. A
// directory that others may write to is refused with [ErrUnsafe].
func NewDisk(dir string, opts ...Option) (*Disk, error) {
	c, err := configure(opts)
	if err != nil {
		return nil, err
	}
	if dir == "" {
		return nil, errors.New("files: want a directory, not an empty name")
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	d := &Disk{config: c, root: root}
	d.buffers.New = func() any { b := make([]byte, chunk); return &b }
	if err := d.checkMode(dir); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return d, nil
}

func (d *Disk) checkMode(dir string) error {
	info, err := d.root.Stat(".")
	if err != nil {
		return fmt.Errorf("files: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%w: others may write to %s; give it mode 0700", ErrUnsafe, dir)
	}
	return nil
}

// Close gives the directory back. Files that are open stay so.
func (d *Disk) Close() error { return d.root.Close() }

func homeName(id tenant.ID) string { return homePrefix + string(id) }

// home is a tenant's directory, which no name within leads out of.
type home struct {
	*os.Root
	disk *Disk
	id   tenant.ID
}

// home opens id's directory; the error is fs.ErrNotExist if there is none.
func (d *Disk) home(id tenant.ID) (*home, error) {
	for range homeAttempts {
		root, err := d.openHome(homeName(id))
		if root != nil || err != nil {
			return &home{root, d, id}, err
		}
	}
	return nil, fmt.Errorf("%w: %s is replaced again and again", ErrUnsafe, homeName(id))
}

// homeAttempts is how often a tenant's directory may be removed and made anew while it
// is being opened.
const homeAttempts = 10

// openHome opens a tenant's directory, and no other that a link in its place leads to.
// It returns nil if another took its place meanwhile.
func (d *Disk) openHome(name string) (*os.Root, error) {
	info, err := d.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%w: %s is no directory; remove it", ErrUnsafe, name)
	}
	root, err := d.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	opened, err := root.Stat(".")
	if err == nil && os.SameFile(info, opened) {
		return root, nil
	}
	return nil, errors.Join(err, root.Close())
}

// makeHome opens id's directory, made if need be.
func (d *Disk) makeHome(id tenant.ID) (*home, error) {
	h, err := d.home(id)
	if !errors.Is(err, fs.ErrNotExist) {
		return h, err
	}
	if err := d.root.Mkdir(homeName(id), dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := syncDir(d.root, "."); err != nil {
		return nil, err
	}
	return d.home(id)
}

// current returns [ErrGone] unless h is still id's directory.
func (h *home) current() error {
	here, err := h.Stat(".")
	if err != nil {
		return err
	}
	now, err := h.disk.root.Lstat(homeName(h.id))
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(here, now) {
		return ErrGone
	}
	return err
}

// locked runs do while nobody else, in this process or another, changes id's files.
func (h *home) locked(do func() error) error {
	defer h.disk.locks.lock(h.id)()
	dir, err := h.Open(".")
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }() // nothing was written to it; it unlocks, too
	if err := lockFile(dir); err != nil {
		return fmt.Errorf("files: lock: %w", err)
	}
	if err := h.current(); err != nil {
		return err
	}
	return do()
}

// locks lets one goroutine at a time change a tenant's files. Tenants may share a lock.
type locks [64]sync.Mutex

func (l *locks) lock(id tenant.ID) (unlock func()) {
	var n uint32 = 2166136261
	for i := range len(id) {
		n = (n ^ uint32(id[i])) * 16777619
	}
	m := &l[n%uint32(len(l))]
	m.Lock()
	return m.Unlock
}

// syncDir makes names that were added or removed in a directory last.
func syncDir(root *os.Root, name string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be synced there
	}
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
