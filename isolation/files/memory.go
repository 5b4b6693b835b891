package files

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/tenancy-go/tenancy/tenant"
)

// Memory is a [Store] for one process. What it keeps is gone when the process ends.
type Memory struct {
	config

	locks locks // held while a tenant's files change and the observer is told
	mu    sync.Mutex
	files map[tenant.ID]map[string]kept // guarded by mu
}

// kept is a file. Its content is never changed.
type kept struct {
	info    Info
	content []byte
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory(opts ...Option) (*Memory, error) {
	c, err := configure(opts)
	if err != nil {
		return nil, err
	}
	return &Memory{config: c, files: make(map[tenant.ID]map[string]kept)}, nil
}

// Put implements [Store].
func (m *Memory) Put(ctx context.Context, name string, content io.Reader, opts ...PutOption) (Info, error) {
	id, err := m.check(ctx, name)
	if err != nil {
		return Info{}, err
	}
	o := Apply(opts)
	var text []byte
	reserved, err := m.fill(ctx, id, content, o.Size, make([]byte, min(chunk, m.maxSize)+1), func(p []byte) error {
		text = append(text, p...)
		return nil
	})
	if err != nil {
		return Info{}, errors.Join(err, m.settle(ctx, id, reserved, 0))
	}
	defer m.locks.lock(id)()
	info, growth, err := m.keep(id, name, text, o.Absent)
	return info, errors.Join(err, m.settle(ctx, id, reserved, growth))
}

// keep returns by how much the tenant's files grew.
func (m *Memory) keep(id tenant.ID, name string, content []byte, absent bool) (Info, int64, error) {
	sum := sha256.Sum256(content)
	info := Info{Name: name, Size: int64(len(content)), ModTime: m.now().UTC(), ETag: hex.EncodeToString(sum[:])}
	m.mu.Lock()
	defer m.mu.Unlock()
	before, exists := m.files[id][name]
	if exists && absent {
		return Info{}, 0, fmt.Errorf("%w: %s", ErrExists, name)
	}
	if m.files[id] == nil {
		m.files[id] = make(map[string]kept)
	}
	m.files[id][name] = kept{info, content}
	return info, info.Size - before.info.Size, nil
}

// Open implements [Store].
func (m *Memory) Open(ctx context.Context, name string) (*File, error) {
	f, err := m.find(ctx, name)
	if err != nil {
		return nil, err
	}
	return &File{f.info, reader{bytes.NewReader(f.content)}}, nil
}

// reader is content that needs no closing.
type reader struct{ *bytes.Reader }

// Close does nothing.
func (reader) Close() error { return nil }

// Stat implements [Store].
func (m *Memory) Stat(ctx context.Context, name string) (Info, error) {
	f, err := m.find(ctx, name)
	return f.info, err
}

func (m *Memory) find(ctx context.Context, name string) (kept, error) {
	id, err := m.check(ctx, name)
	if err != nil {
		return kept{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.files[id][name]
	if !ok {
		return kept{}, ErrNotFound
	}
	return f, nil
}

// check returns ctx's tenant, and an error unless names may be files'.
func (m *Memory) check(ctx context.Context, names ...string) (tenant.ID, error) {
	id, err := owner(ctx)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if err := ValidateName(name); err != nil {
			return "", err
		}
	}
	return id, nil
}

// Delete implements [Store].
func (m *Memory) Delete(ctx context.Context, name string) error {
	id, err := m.check(ctx, name)
	if err != nil {
		return err
	}
	defer m.locks.lock(id)()
	m.mu.Lock()
	f, ok := m.files[id][name]
	delete(m.files[id], name)
	m.mu.Unlock()
	if !ok {
		return ErrNotFound
	}
	return m.settle(ctx, id, 0, -f.info.Size)
}

// Copy implements [Store].
func (m *Memory) Copy(ctx context.Context, from, to string) (Info, error) {
	if _, err := m.check(ctx, from, to); err != nil {
		return Info{}, err
	}
	f, err := m.find(ctx, from)
	if err != nil {
		return Info{}, err
	}
	return m.Put(ctx, to, bytes.NewReader(f.content))
}

// Rename implements [Store].
func (m *Memory) Rename(ctx context.Context, from, to string) (Info, error) {
	id, err := m.check(ctx, from, to)
	if err != nil {
		return Info{}, err
	}
	defer m.locks.lock(id)()
	renamed, replaced, err := m.rename(id, from, to)
	if err != nil {
		return Info{}, err
	}
	return renamed, m.settle(ctx, id, 0, -replaced)
}

// rename returns the size of what was replaced.
func (m *Memory) rename(id tenant.ID, from, to string) (Info, int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.files[id][from]
	if !ok {
		return Info{}, 0, ErrNotFound
	}
	if from == to {
		return f.info, 0, nil
	}
	replaced := m.files[id][to].info.Size
	delete(m.files[id], from)
	f.info.Name = to
	m.files[id][to] = f
	return f.info, replaced, nil
}

// List implements [Store].
func (m *Memory) List(ctx context.Context, q Query) (Page, error) {
	id, err := owner(ctx)
	if err != nil {
		return Page{}, err
	}
	l, err := newListing(id, q)
	if err != nil {
		return Page{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(m.files[id])) {
		l.add(name)
	}
	names, next := l.page()
	page := Page{Next: next}
	for _, name := range names {
		page.Files = append(page.Files, m.files[id][name].info)
	}
	return page, nil
}

// DeleteAll implements [Store].
func (m *Memory) DeleteAll(ctx context.Context) error {
	id, err := owner(ctx)
	if err != nil {
		return err
	}
	defer m.locks.lock(id)()
	m.mu.Lock()
	delete(m.files, id)
	m.mu.Unlock()
	return m.observer.Reconcile(context.WithoutCancel(ctx), id, 0)
}

// Usage implements [Store].
func (m *Memory) Usage(ctx context.Context) (Usage, error) {
	id, err := owner(ctx)
	if err != nil {
		return Usage{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var u Usage
	for _, f := range m.files[id] {
		u.Files++
		u.Bytes += f.info.Size
	}
	return u, nil
}
