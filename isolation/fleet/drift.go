package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/tenant"
)

// Difference is an object of a home that is not as in the reference.
type Difference struct {
	Object string // kind and name, such as "column orders.total"
	Want   string // definition in the reference; empty if it is not there
	Found  string // definition in the home; empty if it is not there
}

// String tells d in words.
func (d Difference) String() string {
	switch {
	case d.Found == "":
		return fmt.Sprintf("%s is missing (want %s)", d.Object, d.Want)
	case d.Want == "":
		return fmt.Sprintf("%s is not in the reference (found %s)", d.Object, d.Found)
	default:
		return fmt.Sprintf("%s is %s, want %s", d.Object, d.Found, d.Want)
	}
}

// Compare returns how found differs from reference, by object. Where a whole table is
// missing or one too many, its parts are not told one by one.
func Compare(reference, found Snapshot) []Difference {
	objects := maps.Clone(reference.Objects)
	if objects == nil {
		objects = map[string]string{}
	}
	maps.Copy(objects, found.Objects)
	var differences []Difference
	var tables []string // that are missing or too many
	for _, object := range slices.Sorted(maps.Keys(objects)) {
		want, wanted := reference.Objects[object]
		got, there := found.Objects[object]
		if wanted == there && want == got {
			continue
		}
		if name, is := strings.CutPrefix(object, "table "); is && wanted != there {
			tables = append(tables, name)
		}
		differences = append(differences, Difference{Object: object, Want: orWord(want, wanted), Found: orWord(got, there)})
	}
	return slices.DeleteFunc(differences, func(d Difference) bool { return isPart(d, tables, differences) })
}

// orWord keeps the definition of an object that is there from being empty.
func orWord(definition string, there bool) string {
	if there && definition == "" {
		return "there"
	}
	return definition
}

// isPart reports whether d goes without saying, given the other differences. The text
// of a SQLite table is repeated by its columns.
func isPart(d Difference, tables []string, all []Difference) bool {
	kind, name, _ := strings.Cut(d.Object, " ")
	for _, table := range tables {
		if kind != "table" && (strings.HasPrefix(name, table+".") || strings.Contains(d.Found+d.Want, " ON "+table+" ") ||
			strings.HasPrefix(name, "table "+table+" to ") || strings.HasPrefix(name, "table "+table+".")) {
			return true
		}
	}
	return kind == "table" && d.Found != "" && d.Want != "" && strings.HasPrefix(d.Found, "CREATE TABLE") &&
		slices.ContainsFunc(all, func(other Difference) bool { return strings.HasPrefix(other.Object, "column "+name+".") })
}

// Deviation is a home whose schema is not that of the reference, or that could not
// be looked at.
type Deviation struct {
	Tenant      tenant.ID // of a shared home, the tenant by whom it was found
	Home        string    // isolation.Home.Key
	Differences []Difference
	Err         error
}

// Drift compares the schema of each home with the reference of its kind, several at
// a time, and calls report for each that deviates, one at a time. It returns how many
// homes it looked at. Tenants without a home are passed over.
func (f *Fleet) Drift(ctx context.Context, tenants Tenants, report func(Deviation), references ...Snapshot) (homes int, err error) {
	byKind := map[Kind]Snapshot{}
	for _, s := range references {
		byKind[s.Kind] = s
	}
	if len(byKind) == 0 {
		return 0, errors.New("fleet: drift: want a reference; see Fleet.Snapshot")
	}
	var connections pghome.Connections
	defer func() { err = errors.Join(err, connections.Close()) }()
	ctx = connections.Keep(ctx)
	// Every home is of interest, whatever the ledger says.
	r := &run{Fleet: f, tenants: tenants}
	var workers errgroup.Group
	workers.SetLimit(f.workers)
	var mu sync.Mutex
	_, err = r.walk(ctx, func(j job) bool {
		homes++
		workers.Go(func() error {
			if d := f.deviation(ctx, j, byKind); d.Err != nil || len(d.Differences) > 0 {
				mu.Lock()
				defer mu.Unlock()
				report(d)
			}
			return nil
		})
		return ctx.Err() == nil
	})
	return homes, errors.Join(err, workers.Wait(), ctx.Err())
}

func (f *Fleet) deviation(ctx context.Context, j job, references map[Kind]Snapshot) Deviation {
	d := Deviation{Tenant: j.tenant.ID, Home: j.key}
	found, err := f.Snapshot(ctx, j.tenant)
	if err != nil {
		d.Err = err
		return d
	}
	reference, ok := references[found.Kind]
	if !ok {
		d.Err = fmt.Errorf("fleet: drift: there is no reference for homes of kind %s", found.Kind)
		return d
	}
	d.Differences = Compare(reference, found)
	return d
}
