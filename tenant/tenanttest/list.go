package tenanttest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tenancy-go/tenancy/tenant"
)

func listFilters(ctx context.Context, s tenant.Store) error {
	a, b, c := rich("a"), rich("b"), rich("c")
	a.Plan, b.Status, b.Region, c.Parent = "free", tenant.StatusSuspended, "us", "a"
	if _, err := create(ctx, s, a, b, c); err != nil {
		return err
	}
	if _, err := createDeleted(ctx, s, rich("d")); err != nil {
		return err
	}
	lists := []struct {
		query tenant.Query
		want  []tenant.ID
	}{
		{tenant.Query{}, []tenant.ID{"a", "b", "c"}},
		{tenant.Query{Desc: true}, []tenant.ID{"c", "b", "a"}},
		{tenant.Query{Status: []tenant.Status{tenant.StatusSuspended}}, []tenant.ID{"b"}},
		{tenant.Query{Status: []tenant.Status{tenant.StatusActive, tenant.StatusDeleted}}, []tenant.ID{"a", "c", "d"}},
		{tenant.Query{Status: []tenant.Status{tenant.StatusProvisioning}}, nil},
		{tenant.Query{Plan: "pro"}, []tenant.ID{"b", "c"}},
		{tenant.Query{Plan: "PRO"}, nil},
		{tenant.Query{Region: "us"}, []tenant.ID{"b"}},
		{tenant.Query{Parent: "a"}, []tenant.ID{"c"}},
		{tenant.Query{Parent: "b"}, nil},
		{tenant.Query{Plan: "pro", Region: "eu"}, []tenant.ID{"c"}},
		{tenant.Query{Plan: "pro", Search: "tenant B"}, []tenant.ID{"b"}},
	}
	for _, l := range lists {
		page, err := s.List(ctx, l.query)
		if err != nil {
			return err
		}
		if page.Next != "" {
			return fmt.Errorf("list %+v: a cursor after the last page", l.query)
		}
		if err := sameIDs(fmt.Sprintf("list %+v", l.query), page.Tenants, l.want...); err != nil {
			return err
		}
	}
	page, err := s.List(ctx, tenant.Query{Search: "a", Limit: 1})
	if err != nil || len(page.Tenants) != 1 {
		return fmt.Errorf("list: %d tenants, error %w", len(page.Tenants), err)
	}
	return finds(ctx, s, tenant.ByID(page.Tenants[0].ID), page.Tenants[0])
}

func listSearches(ctx context.Context, s tenant.Store) error {
	names := []string{"Plain", `100%`, `a_b`, `back\slash`, `it's "quoted"`, "ÄPFEL", "[range]", "star*?"}
	for i, name := range names {
		t := active(tenant.ID(fmt.Sprintf("t-%d", i)))
		t.Slug, t.Name = fmt.Sprintf("s%ds", i), name
		if _, err := create(ctx, s, t); err != nil {
			return err
		}
	}
	searches := map[string][]tenant.ID{
		"plain": {"t-0"}, "LAI": {"t-0"}, "%": {"t-1"}, "0%": {"t-1"}, "_": {"t-2"}, "A_B": {"t-2"}, `\`: {"t-3"}, `k\s`: {"t-3"},
		"'": {"t-4"}, `"`: {"t-4"}, "Äpfel": {"t-5"}, "äpfel": nil, "[range]": {"t-6"}, "[": {"t-6"}, "*": {"t-7"}, "?": {"t-7"},
		"T-3": {"t-3"}, "S3S": {"t-3"}, "%%": nil, "__": nil, `\\`: nil, "' OR 1=1 --": nil,
	}
	for search, want := range searches {
		page, err := s.List(ctx, tenant.Query{Search: search})
		if err != nil {
			return fmt.Errorf("search %q: %w", search, err)
		}
		if err := sameIDs(fmt.Sprintf("search %q", search), page.Tenants, want...); err != nil {
			return err
		}
	}
	return nil
}

// Numbers of tenants: enough for ties and odd ends, and for pages to last while
// things change.
const (
	few  = 40
	some = 200
	many = 1000
)

func populate(ctx context.Context, s tenant.Store, population int) ([]tenant.Tenant, error) {
	names := []string{"same", "Same", "übel", "zeta", "Zeta", "a b", "a-b", "ab"}
	tenants := make([]tenant.Tenant, 0, population)
	for i := range population {
		t := active(tenant.ID(fmt.Sprintf("t%d", i)))
		t.Slug, t.Name = fmt.Sprintf("s-%d", (i*7)%population), names[i%len(names)]
		t, err := s.Create(ctx, t)
		if err != nil {
			return nil, err
		}
		if clock, ok := s.(advancer); ok && i%3 == 0 {
			clock.Advance(1500) // nanoseconds, so that some times are equal and some differ
		}
		tenants = append(tenants, t)
	}
	return tenants, nil
}

func listSorts(ctx context.Context, s tenant.Store) error {
	all, err := populate(ctx, s, some)
	if err != nil {
		return err
	}
	queries := []tenant.Query{{Limit: 1}, {Sort: tenant.SortName, Limit: 1, Desc: true}}
	for _, sort := range allSorts {
		queries = append(queries,
			tenant.Query{Sort: sort, Limit: 19}, tenant.Query{Sort: sort, Limit: 19, Desc: true},
			tenant.Query{Sort: sort, Limit: some}, tenant.Query{Sort: sort, Limit: tenant.MaxLimit, Desc: true})
	}
	for _, q := range queries {
		got, err := readAll(ctx, s, q, nil)
		if err != nil {
			return err
		}
		if err := sameIDs(fmt.Sprintf("list %+v", q), got, sorted(all, q.Sort, q.Desc)...); err != nil {
			return err
		}
	}
	return nil
}

var allSorts = []tenant.Sort{tenant.SortID, tenant.SortSlug, tenant.SortName, tenant.SortCreated, tenant.SortUpdated}

// readAll reads page after page, and calls between after each.
func readAll(ctx context.Context, s tenant.Store, q tenant.Query, between func() error) ([]tenant.Tenant, error) {
	var all []tenant.Tenant
	limit := q.Limit
	if limit == 0 {
		limit = tenant.DefaultLimit
	}
	for {
		page, err := s.List(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("list %+v: %w", q, err)
		}
		all = append(all, page.Tenants...)
		switch {
		case page.Next == "":
			return all, nil
		case len(page.Tenants) != limit:
			return nil, fmt.Errorf("list %+v: %d tenants in a page that is not the last", q, len(page.Tenants))
		case strings.Trim(page.Next, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~") != "":
			return nil, fmt.Errorf("list %+v: cursor %q cannot stand in a URL as it is", q, page.Next)
		}
		q.Cursor = page.Next
		if between != nil {
			if err := between(); err != nil {
				return nil, err
			}
		}
	}
}

// sorted returns the IDs of tenants as a store has to list them.
func sorted(tenants []tenant.Tenant, sort tenant.Sort, desc bool) []tenant.ID {
	tenants = slices.Clone(tenants)
	slices.SortFunc(tenants, func(a, b tenant.Tenant) int {
		order := 0
		switch sort {
		case tenant.SortSlug:
			order = strings.Compare(a.Slug, b.Slug)
		case tenant.SortName:
			order = strings.Compare(a.Name, b.Name)
		case tenant.SortCreated:
			order = a.CreatedAt.Compare(b.CreatedAt)
		case tenant.SortUpdated:
			order = a.UpdatedAt.Compare(b.UpdatedAt)
		case tenant.SortID:
		}
		if order == 0 {
			order = strings.Compare(string(a.ID), string(b.ID))
		}
		if desc {
			return -order
		}
		return order
	})
	ids := make([]tenant.ID, 0, len(tenants))
	for _, t := range tenants {
		ids = append(ids, t.ID)
	}
	return ids
}

// listChanges renames, deletes and adds tenants between pages. Those left alone
// must come once each.
func listChanges(ctx context.Context, s tenant.Store) error {
	all, err := populate(ctx, s, many)
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same changes in every run
	victims := all[:many/2]
	random.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
	left := all[many/2:]
	round := 0
	between := func() error {
		round++
		if round*3 > len(victims) {
			return nil
		}
		return disturb(ctx, s, victims[round*3-3:round*3], round)
	}
	for _, sort := range allSorts {
		got, err := readAll(ctx, s, tenant.Query{Sort: sort, Limit: 50}, between)
		if err != nil {
			return err
		}
		seen := make(map[tenant.ID]int)
		for _, t := range got {
			seen[t.ID]++
		}
		for _, t := range left {
			if seen[t.ID] != 1 {
				return fmt.Errorf("list by %s: %s, which did not change, came %d times", sort, t.ID, seen[t.ID])
			}
		}
	}
	return nil
}

// disturb deletes one tenant, renames two, and adds one.
func disturb(ctx context.Context, s tenant.Store, victims []tenant.Tenant, round int) error {
	if _, err := s.Delete(ctx, victims[0].ID, victims[0].Version); err != nil {
		return err
	}
	for i, t := range victims[1:] {
		t.Slug, t.Name = fmt.Sprintf("x-%d-%d", round, i), fmt.Sprintf("renamed %d", round*i)
		if _, err := s.Update(ctx, t); err != nil {
			return err
		}
	}
	_, err := s.Create(ctx, active(tenant.ID(fmt.Sprintf("new-%d", round))))
	return err
}

func listRefuses(ctx context.Context, s tenant.Store) error {
	if _, err := populate(ctx, s, few); err != nil {
		return err
	}
	page, err := s.List(ctx, tenant.Query{Sort: tenant.SortName, Limit: 10})
	if err != nil {
		return err
	}
	if page.Next == "" {
		return errors.New("list: no cursor after the first page")
	}
	queries := map[string][]tenant.Query{
		"Limit":  {{Limit: -1}, {Limit: tenant.MaxLimit + 1}},
		"Sort":   {{Sort: "shoe size"}, {Sort: "id; DROP TABLE tenants"}},
		"Status": {{Status: []tenant.Status{"asleep"}}, {Status: []tenant.Status{tenant.StatusActive, ""}}},
		"Parent": {{Parent: "Not An ID"}},
		"Plan":   {{Plan: "nul\x00"}, {Plan: "\xff"}},
		"Region": {{Region: "nul\x00"}},
		"Search": {{Search: "nul\x00"}, {Search: "\xff"}, {Search: strings.Repeat("long", 1<<20)}},
		"Cursor": {
			{Cursor: page.Next}, // of another order
			{Cursor: page.Next, Sort: tenant.SortName, Desc: true},
			{Cursor: "1"}, {Cursor: "' OR 1=1"}, {Cursor: "\xff"}, {Cursor: page.Next + "A", Sort: tenant.SortName},
			{Cursor: page.Next[1:], Sort: tenant.SortName}, {Cursor: strings.Repeat("A", 1<<20)},
		},
	}
	for field, list := range queries {
		for _, q := range list {
			_, err := s.List(ctx, q)
			if err := wantField(fmt.Sprintf("list with a bad %s", field), err, field, tenant.ErrInvalid); err != nil {
				return err
			}
		}
	}
	return nil
}
