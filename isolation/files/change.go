package files

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/tenancy-go/tenancy/tenant"
)

// Delete implements [Store].
func (d *Disk) Delete(ctx context.Context, name string) error {
	return d.within(ctx, "delete", func(h *home) error {
		return h.locked(func() error {
			freed, err := h.remove(treeDir + "/" + encode(name))
			return errors.Join(err, d.settle(ctx, h.id, 0, -freed))
		})
	}, name)
}

// remove removes a file durably, with the directories that are empty without it, and
// returns its size. The tenant's files are locked.
func (h *home) remove(target string) (int64, error) {
	size, err := h.sizeOf(target)
	if err != nil {
		return 0, err
	}
	if err := h.Remove(target); err != nil {
		return 0, err // nothing was freed
	}
	dir := path.Dir(target)
	for dir != treeDir && h.Remove(dir) == nil { // fails for one that is not empty
		dir = path.Dir(dir)
	}
	return size, syncDir(h.Root, dir)
}

// Copy implements [Store].
func (d *Disk) Copy(ctx context.Context, from, to string) (Info, error) {
	var copied Info
	err := d.within(ctx, "copy", func(h *home) error {
		f, info, err := h.open(from)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // it was only read
		copied, err = d.write(ctx, h, to, io.NewSectionReader(f, 0, info.Size), PutOptions{Size: info.Size})
		return err
	}, from, to)
	return copied, err
}

// Rename implements [Store].
func (d *Disk) Rename(ctx context.Context, from, to string) (Info, error) {
	var renamed Info
	err := d.within(ctx, "rename", func(h *home) error {
		return h.locked(func() error {
			replaced, err := h.rename(from, to)
			if err == nil {
				renamed, err = h.stat(to)
			}
			return errors.Join(err, d.settle(ctx, h.id, 0, -replaced))
		})
	}, from, to)
	return renamed, err
}

// rename returns the size of what was replaced.
func (h *home) rename(from, to string) (int64, error) {
	source, target := treeDir+"/"+encode(from), treeDir+"/"+encode(to)
	if _, err := h.Lstat(source); err != nil || source == target {
		return 0, err
	}
	if err := h.makeDirs(path.Dir(target)); err != nil {
		return 0, err
	}
	replaced, err := h.sizeOf(target)
	if err != nil {
		return 0, err
	}
	if err := h.Rename(source, target); err != nil {
		return 0, err
	}
	dir := path.Dir(source)
	for dir != treeDir && h.Remove(dir) == nil { // fails for one that is not empty
		dir = path.Dir(dir)
	}
	return max(replaced, 0), errors.Join(syncDir(h.Root, path.Dir(target)), syncDir(h.Root, dir))
}

// DeleteAll implements [Store]. The tenant's directory leaves its name in one step; what
// a kill leaves of it is removed by [Disk.Sweep].
func (d *Disk) DeleteAll(ctx context.Context) error {
	id, err := owner(ctx)
	if err != nil {
		return err
	}
	h, err := d.home(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("files: delete all: %w", err)
	}
	defer func() { _ = h.Close() }() // nothing was written to it
	trash := trashDir + "/" + strings.ToLower(rand.Text())
	err = h.locked(func() error {
		if err := d.root.Mkdir(trashDir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := d.root.Rename(homeName(id), trash); err != nil {
			return err
		}
		return errors.Join(syncDir(d.root, "."), d.observer.Reconcile(context.WithoutCancel(ctx), id, 0))
	})
	if errors.Is(err, ErrGone) {
		return nil
	}
	if err == nil {
		err = d.root.RemoveAll(trash)
	}
	if err != nil {
		return fmt.Errorf("files: delete all: %w", err)
	}
	return nil
}

// Reconcile counts what ctx's tenant's files take, and tells the observer. Nobody changes
// them meanwhile.
func (d *Disk) Reconcile(ctx context.Context) error {
	id, err := owner(ctx)
	if err != nil {
		return err
	}
	err = d.within(ctx, "reconcile", func(h *home) error {
		return h.locked(func() error {
			u, err := h.usage(ctx)
			if err != nil {
				return err
			}
			return d.observer.Reconcile(ctx, id, u.Bytes)
		})
	})
	if errors.Is(err, ErrNotFound) {
		return d.observer.Reconcile(ctx, id, 0)
	}
	return err
}

// Sweep removes what killed writers and removals left, for all tenants.
func (d *Disk) Sweep(ctx context.Context) error {
	trash, err := namesIn(d.root, trashDir)
	if err != nil {
		return fmt.Errorf("files: sweep: %w", err)
	}
	for _, name := range trash {
		if err := errors.Join(ctx.Err(), d.root.RemoveAll(trashDir+"/"+name)); err != nil {
			return fmt.Errorf("files: sweep: %w", err)
		}
	}
	homes, err := namesIn(d.root, ".")
	if err != nil {
		return fmt.Errorf("files: sweep: %w", err)
	}
	for _, name := range homes {
		label, ok := strings.CutPrefix(name, homePrefix)
		id := tenant.ID(label)
		if !ok || id.Validate() != nil {
			continue
		}
		if err := errors.Join(ctx.Err(), d.sweepHome(id)); err != nil {
			return fmt.Errorf("files: sweep tenant %s: %w", id, err)
		}
	}
	return nil
}

// namesIn returns the names in a directory; none if it is not there.
func namesIn(root *os.Root, dir string) ([]string, error) {
	f, err := root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names, err := f.Readdirnames(-1)
	if errors.Is(err, fs.ErrNotExist) { // removed meanwhile
		names, err = nil, nil
	}
	return names, errors.Join(err, f.Close())
}

func (d *Disk) sweepHome(id tenant.ID) error {
	h, err := d.home(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }() // nothing was written to it
	names, err := namesIn(h.Root, tempDir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := h.sweepTemp(tempDir + "/" + name); err != nil {
			return err
		}
	}
	return nil
}

// sweepTemp removes what nobody writes to any more. A writer that has just begun may not
// have locked its file yet.
func (h *home) sweepTemp(name string) error {
	f, err := h.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it has become a file
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // nothing was written to it
	info, err := f.Stat()
	if err != nil || h.disk.now().Sub(info.ModTime()) < graceTime || !isAbandoned(f) {
		return err
	}
	if err := h.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
