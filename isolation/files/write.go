package files

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// A file ends with a trailer, which says that it is whole and what its content's hash is.
const (
	trailerMagic = "tenancy\x01"
	trailerLen   = len(trailerMagic) + sha256.Size
)

// Put implements [Store].
func (d *Disk) Put(ctx context.Context, name string, content io.Reader, opts ...PutOption) (Info, error) {
	id, err := owner(ctx)
	if err != nil {
		return Info{}, err
	}
	if err := ValidateName(name); err != nil {
		return Info{}, err
	}
	h, err := d.makeHome(id)
	if errors.Is(err, fs.ErrNotExist) {
		return Info{}, ErrGone
	}
	if err != nil {
		return Info{}, fmt.Errorf("files: put: %w", err)
	}
	defer func() { _ = h.Close() }() // what was written was synced
	return d.write(ctx, h, name, content, Apply(opts))
}

// write writes content aside, and gives it its name.
func (d *Disk) write(ctx context.Context, h *home, name string, content io.Reader, o PutOptions) (info Info, err error) {
	t := &temp{home: h, hash: sha256.New()}
	var reserved int64
	defer func() { err = errors.Join(err, t.discard(), d.settle(ctx, h.id, reserved, 0)) }()
	if err := t.create(); err != nil {
		return Info{}, h.failedPut(err)
	}
	buffer, _ := d.buffers.Get().(*[]byte)
	reserved, err = d.fill(ctx, h.id, content, o.Size, *buffer, t.write)
	d.buffers.Put(buffer)
	if err == nil {
		err = t.finish(d.now())
	}
	if err != nil {
		return Info{}, h.failedPut(err)
	}
	err = h.locked(func() error {
		replaced, err := t.take(name, o.Absent)
		if t.name != "" {
			return err
		}
		toSettle := reserved
		reserved = 0
		return errors.Join(err, d.settle(ctx, h.id, toSettle, t.size-replaced))
	})
	if err != nil {
		return Info{}, h.failedPut(err)
	}
	return describe(t.file, name)
}

// failedPut says what kept a file from being put.
func (h *home) failedPut(err error) error {
	if errors.Is(err, fs.ErrNotExist) && errors.Is(h.current(), ErrGone) {
		return ErrGone
	}
	return fmt.Errorf("files: put: %w", err)
}

// temp is a file that is being written.
type temp struct {
	home *home
	name string // "" once it has none
	file *os.File
	hash hash.Hash
	size int64 // of the content
}

// create opens a new file, and locks it for as long as this process is there to write.
func (t *temp) create() error {
	name := tempDir + "/" + strings.ToLower(rand.Text())
	file, err := t.home.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if errors.Is(err, fs.ErrNotExist) {
		if err := t.home.Mkdir(tempDir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		file, err = t.home.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	}
	if err != nil {
		return err
	}
	t.name, t.file = name, file
	return lockFile(file)
}

func (t *temp) write(p []byte) error {
	t.size += int64(len(p))
	_, _ = t.hash.Write(p) // a hash.Hash never fails
	_, err := t.file.Write(p)
	return err
}

// finish writes the trailer, and all of it to disk.
func (t *temp) finish(now time.Time) error {
	trailer := t.hash.Sum([]byte(trailerMagic))
	if _, err := t.file.Write(trailer); err != nil {
		return err
	}
	if err := t.home.Chtimes(t.name, now, now); err != nil {
		return err
	}
	return t.file.Sync()
}

// take gives t the name of a file, and returns the size of what had it before. The
// tenant's files are locked.
func (t *temp) take(name string, absent bool) (replaced int64, err error) {
	target := treeDir + "/" + encode(name)
	if err := t.home.makeDirs(path.Dir(target)); err != nil {
		return 0, err
	}
	if replaced, err = t.home.sizeOf(target); err != nil {
		return 0, err
	}
	if replaced >= 0 && absent {
		return 0, fmt.Errorf("%w: %s", ErrExists, name)
	}
	if err := t.home.Rename(t.name, target); err != nil {
		return 0, err
	}
	t.name = ""
	return max(replaced, 0), syncDir(t.home.Root, path.Dir(target))
}

// discard closes t, and removes it unless it has become a file.
func (t *temp) discard() error {
	var err error
	if t.name != "" {
		err = t.home.Remove(t.name)
	}
	if t.file == nil || t.home.current() != nil {
		err = nil // it was removed with the tenant
	}
	if t.file != nil {
		err = errors.Join(err, t.file.Close())
	}
	return err
}

// makeDirs makes a directory and those above it, each durably.
func (h *home) makeDirs(dir string) error {
	if _, err := h.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := path.Dir(dir)
	if parent != "." {
		if err := h.makeDirs(parent); err != nil {
			return err
		}
	}
	if err := h.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(h.Root, parent)
}

// sizeOf returns the size of the content at a path, or -1 if there is none.
func (h *home) sizeOf(target string) (int64, error) {
	info, err := h.Lstat(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return -1, nil
	case err != nil:
		return 0, err
	}
	return max(info.Size()-int64(trailerLen), 0), nil
}

// stat returns what is known of a file.
func (h *home) stat(name string) (Info, error) {
	f, info, err := h.open(name)
	if err != nil {
		return Info{}, err
	}
	return info, f.Close()
}

// open opens a file, and checks that it is whole.
func (h *home) open(name string) (*os.File, Info, error) {
	target := treeDir + "/" + encode(name)
	f, err := h.OpenFile(target, os.O_RDONLY, 0)
	if err != nil {
		return nil, Info{}, err
	}
	info, err := describe(f, name)
	if err != nil {
		return nil, Info{}, errors.Join(err, f.Close())
	}
	return f, info, nil
}

func describe(f *os.File, name string) (Info, error) {
	stat, err := f.Stat()
	if err != nil {
		return Info{}, err
	}
	size := stat.Size() - int64(trailerLen)
	trailer := make([]byte, trailerLen)
	if size < 0 || !stat.Mode().IsRegular() {
		return Info{}, fmt.Errorf("%w: %s", ErrCorrupt, name)
	}
	if _, err := f.ReadAt(trailer, size); err != nil {
		return Info{}, err
	}
	sum, whole := strings.CutPrefix(string(trailer), trailerMagic)
	if !whole {
		return Info{}, fmt.Errorf("%w: %s", ErrCorrupt, name)
	}
	return Info{Name: name, Size: size, ModTime: stat.ModTime().UTC(), ETag: hex.EncodeToString([]byte(sum))}, nil
}

// failed says what failed, in the words of this package where it has some.
func failed(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return ErrNotFound
	}
	return fmt.Errorf("files: %s: %w", what, err)
}
