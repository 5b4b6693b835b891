package files

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
)

// within opens ctx's tenant's directory for do. A tenant that has none has no files.
func (d *Disk) within(ctx context.Context, what string, do func(h *home) error, names ...string) error {
	id, err := owner(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := ValidateName(name); err != nil {
			return err
		}
	}
	h, err := d.home(id)
	if err != nil {
		return failed(what, err)
	}
	defer func() { _ = h.Close() }() // nothing was written to it
	return failed(what, do(h))
}

// Open implements [Store].
func (d *Disk) Open(ctx context.Context, name string) (*File, error) {
	var opened *File
	err := d.within(ctx, "open", func(h *home) error {
		f, info, err := h.open(name)
		if err == nil {
			opened = &File{info, content{io.NewSectionReader(f, 0, info.Size), f}}
		}
		return err
	}, name)
	return opened, err
}

// content is a file without its trailer.
type content struct {
	*io.SectionReader
	file *os.File
}

// Close closes the file.
func (c content) Close() error { return c.file.Close() }

// Stat implements [Store].
func (d *Disk) Stat(ctx context.Context, name string) (info Info, err error) {
	err = d.within(ctx, "stat", func(h *home) error {
		info, err = h.stat(name)
		return err
	}, name)
	return info, err
}

// List implements [Store].
func (d *Disk) List(ctx context.Context, q Query) (Page, error) {
	id, err := owner(ctx)
	if err != nil {
		return Page{}, err
	}
	l, err := newListing(id, q)
	if err != nil {
		return Page{}, err
	}
	var page Page
	err = d.within(ctx, "list", func(h *home) error {
		err := h.walk(ctx, treeDir, "", l.wants, func(name, _ string) error {
			l.add(name)
			return nil
		})
		if err != nil {
			return err
		}
		names, next := l.page()
		page.Next = next
		for _, name := range names {
			info, err := h.stat(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue // removed meanwhile
			}
			if err != nil {
				return err
			}
			page.Files = append(page.Files, info)
		}
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		return Page{}, nil
	}
	return page, err
}

// walk calls found with each file below dir, whose names begin with prefix, and its path.
// It leaves out what wants does not want, and what this package did not write.
func (h *home) walk(ctx context.Context, dir, prefix string, wants func(prefix string) bool, found func(name, target string) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f, err := h.Open(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	entries, err := f.ReadDir(-1)
	if errors.Is(err, fs.ErrNotExist) { // removed meanwhile
		entries, err = nil, nil
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	for _, e := range entries {
		text, mark, ok := decode(e.Name())
		target, name := dir+"/"+e.Name(), prefix+text
		switch {
		case !ok || e.IsDir() == (mark == fileMark):
		case mark == fileMark:
			err = found(name, target)
		case mark == dirMark && wants(name+"/"):
			err = h.walk(ctx, target, name+"/", wants, found)
		case mark == partMark && wants(name):
			err = h.walk(ctx, target, name, wants, found)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Usage implements [Store].
func (d *Disk) Usage(ctx context.Context) (Usage, error) {
	var u Usage
	err := d.within(ctx, "usage", func(h *home) (err error) {
		u, err = h.usage(ctx)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return Usage{}, nil
	}
	return u, err
}

func (h *home) usage(ctx context.Context) (u Usage, err error) {
	everything := func(string) bool { return true }
	err = h.walk(ctx, treeDir, "", everything, func(_, target string) error {
		size, err := h.sizeOf(target)
		if err == nil && size >= 0 {
			u.Files++
			u.Bytes += size
		}
		return err
	})
	return u, err
}
