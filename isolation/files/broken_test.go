package files_test

import (
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/files"
	"github.com/tenancy-go/tenancy/isolation/files/filestest"
	"github.com/tenancy-go/tenancy/tenant"
)

// The stores below are wrong in one way each.

// common keeps everybody's files together.
type common struct{ files.Store }

func (s common) shared(ctx context.Context) context.Context {
	if _, err := tenant.FromContext(ctx); err != nil {
		return ctx
	}
	return as(ctx, "all")
}

func (s common) Put(ctx context.Context, name string, r io.Reader, opts ...files.PutOption) (files.Info, error) {
	return s.Store.Put(s.shared(ctx), name, r, opts...)
}

func (s common) Open(ctx context.Context, name string) (*files.File, error) {
	return s.Store.Open(s.shared(ctx), name)
}

func (s common) Stat(ctx context.Context, name string) (files.Info, error) {
	return s.Store.Stat(s.shared(ctx), name)
}

// careless takes the platform for a tenant.
type careless struct{ files.Store }

func (s careless) Stat(ctx context.Context, name string) (files.Info, error) {
	if _, err := tenant.FromContext(ctx); err != nil {
		ctx = as(ctx, "a")
	}
	return s.Store.Stat(ctx, name)
}

// folding takes upper case for lower case.
type folding struct{ files.Store }

func (s folding) Put(ctx context.Context, name string, r io.Reader, opts ...files.PutOption) (files.Info, error) {
	info, err := s.Store.Put(ctx, strings.ToLower(name), r, opts...)
	info.Name = name
	return info, err
}

// cleaning takes a name that leads upwards for one that does not.
type cleaning struct{ files.Store }

func (s cleaning) Stat(ctx context.Context, name string) (files.Info, error) {
	if files.ValidateName(name) != nil {
		name = "good"
	}
	return s.Store.Stat(ctx, name)
}

// truncating keeps what it read of content that failed.
type truncating struct{ files.Store }

func (s truncating) Put(ctx context.Context, name string, r io.Reader, opts ...files.PutOption) (files.Info, error) {
	content, err := io.ReadAll(r)
	info, kept := s.Store.Put(ctx, name, strings.NewReader(string(content)), opts...)
	if err == nil {
		err = kept
	}
	return info, err
}

// hasty looks before it puts, and is overtaken.
type hasty struct {
	files.Store
	looked *atomic.Int64
	both   chan struct{} // closed once two have looked
}

func (s hasty) Put(ctx context.Context, name string, r io.Reader, opts ...files.PutOption) (files.Info, error) {
	if files.Apply(opts).Absent {
		if _, err := s.Stat(ctx, name); err == nil {
			return files.Info{}, files.ErrExists
		}
		opts = nil
		if s.looked.Add(1) == 2 {
			close(s.both)
		}
		<-s.both
	}
	return s.Store.Put(ctx, name, r, opts...)
}

// unaccounted forgets to say that files went.
type unaccounted struct{ files.Store }

func (s unaccounted) Delete(ctx context.Context, name string) error {
	content := strings.NewReader(strings.Repeat("x", 10))
	if _, err := s.Stat(ctx, name); err == nil {
		_, _ = s.Put(as(ctx, "b"), name, content)
	}
	return s.Store.Delete(ctx, name)
}

// openCursors takes any cursor.
type openCursors struct{ files.Store }

func (s openCursors) List(ctx context.Context, q files.Query) (files.Page, error) {
	page, err := s.Store.List(ctx, q)
	if err != nil && q.Cursor != "" {
		q.Cursor = ""
		return s.Store.List(ctx, q)
	}
	return page, err
}

func TestBrokenStoresAreCaught(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		broken func(files.Store) files.Store
		clause string
	}{
		"tenants together":   {func(s files.Store) files.Store { return common{s} }, "no artefact of a tenant works at another"},
		"no tenant is one":   {func(s files.Store) files.Store { return careless{s} }, "nothing works without a tenant"},
		"one case":           {func(s files.Store) files.Store { return folding{s} }, "names that differ are different files"},
		"names are cleaned":  {func(s files.Store) files.Store { return cleaning{s} }, "names that break a rule are refused"},
		"half files":         {func(s files.Store) files.Store { return truncating{s} }, "a put that fails leaves what was there"},
		"look, then put":     {func(s files.Store) files.Store { return hasty{s, &atomic.Int64{}, make(chan struct{})} }, "of many that put an absent file one succeeds"},
		"writes to others":   {func(s files.Store) files.Store { return unaccounted{s} }, "no artefact of a tenant works at another"},
		"any cursor will do": {func(s files.Store) files.Store { return openCursors{s} }, "no artefact of a tenant works at another"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := filestest.Check(t.Context(), func(opts ...files.Option) files.Store {
				m, err := files.NewMemory(opts...)
				require.NoError(t, err)
				return tt.broken(m)
			})
			assert.Contains(t, found, tt.clause)
		})
	}
}
