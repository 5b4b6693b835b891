package tenant_test

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/tenant"
	"github.com/tenancy-go/tenancy/tenant/tenanttest"
)

var allSorts = []tenant.Sort{tenant.SortID, tenant.SortSlug, tenant.SortName, tenant.SortCreated, tenant.SortUpdated}

// nextCursor returns the cursor after t in the order of q.
func nextCursor(t testing.TB, q tenant.Query, last tenant.Tenant) string {
	t.Helper()
	q.Limit = 1
	q, _, err := q.Check()
	require.NoError(t, err)
	return q.Page([]tenant.Tenant{last, last}).Next
}

func TestQueryCursor(t *testing.T) {
	t.Parallel()
	last := tenanttest.Tenant(t, "acme")
	last.Slug, last.Name = "acme-slug", "Acme é / +="
	last.CreatedAt = time.Date(1969, 7, 20, 20, 17, 40, 1000, time.UTC)
	last.UpdatedAt = time.Date(2200, 1, 2, 3, 4, 5, 6000, time.UTC)
	for _, sort := range allSorts {
		for _, desc := range []bool{false, true} {
			q := tenant.Query{Sort: sort, Desc: desc}
			q.Cursor = nextCursor(t, q, last)
			checked, at, err := q.Check()
			require.NoError(t, err)
			assert.Equal(t, checked.Position(last), at)

			for _, other := range allSorts {
				if other == sort {
					continue
				}
				_, _, err = tenant.Query{Sort: other, Desc: desc, Cursor: q.Cursor}.Check()
				require.ErrorIs(t, err, tenant.ErrInvalid, "%s under %s", sort, other)
			}
			_, _, err = tenant.Query{Sort: sort, Desc: !desc, Cursor: q.Cursor}.Check()
			require.ErrorIs(t, err, tenant.ErrInvalid)
		}
	}
}

func TestQueryDefaults(t *testing.T) {
	t.Parallel()
	q, at, err := tenant.Query{}.Check()
	require.NoError(t, err)
	assert.Equal(t, tenant.Query{Sort: tenant.SortID, Limit: tenant.DefaultLimit}, q)
	assert.Equal(t, tenant.Position{}, at)
}

// Only what a page's Next can be is accepted, and it stands for one place: what
// is accepted is written again as it was read.
func FuzzQueryCursor(f *testing.F) {
	acme := tenanttest.Tenant(f, "acme")
	for i, sort := range allSorts {
		f.Add(nextCursor(f, tenant.Query{Sort: sort}, acme), uint8(i), false)
	}
	f.Add(base64.RawURLEncoding.EncodeToString([]byte{1, 0, 0, 255, 'a'}), uint8(0), false)
	f.Add("AQAAAWE=", uint8(0), false)
	f.Fuzz(func(t *testing.T, cursor string, sort uint8, desc bool) {
		q := tenant.Query{Sort: allSorts[int(sort)%len(allSorts)], Desc: desc, Cursor: cursor}
		checked, at, err := q.Check()
		if err != nil {
			assert.ErrorIs(t, err, tenant.ErrInvalid)
			return
		}
		if cursor == "" {
			assert.Equal(t, tenant.Position{}, at)
			return
		}
		require.NoError(t, at.ID.Validate())
		last := tenant.Tenant{ID: at.ID, Slug: at.Text, Name: at.Text, CreatedAt: at.Time, UpdatedAt: at.Time}
		assert.Equal(t, at, checked.Position(last))
		assert.Equal(t, cursor, nextCursor(t, tenant.Query{Sort: q.Sort, Desc: desc}, last))
	})
}

func TestQuerySelects(t *testing.T) {
	t.Parallel()
	acme := tenanttest.Tenant(t, "acme")
	acme.Name = "Acme İstanbul"
	assert.True(t, tenant.Query{Search: "ACME"}.Selects(acme))
	assert.False(t, tenant.Query{Search: "istanbul"}.Selects(acme), "letters beyond ASCII are not folded")
	assert.Equal(t, "aÄz\xff", tenant.FoldASCII("AÄZ\xff"))
}

func BenchmarkMemoryStoreList(b *testing.B) {
	store := tenant.NewMemoryStore()
	for i := range 10_000 {
		_, err := store.Create(b.Context(), tenanttest.Tenant(b, tenant.ID(fmt.Sprintf("t%05d", i))))
		require.NoError(b, err)
	}
	cursor := nextCursor(b, tenant.Query{}, tenanttest.Tenant(b, "t05000"))
	for b.Loop() {
		_, err := store.List(b.Context(), tenant.Query{Cursor: cursor})
		require.NoError(b, err)
	}
}
