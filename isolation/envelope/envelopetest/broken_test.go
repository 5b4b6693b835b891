package envelopetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/tenant"
)

// broken is a correct store with one fault put in.
type broken struct {
	envelope.Store
	load       func(context.Context, tenant.ID, envelope.Purpose) ([]envelope.Record, error)
	create     func(context.Context, envelope.Record) error
	rewrap     func(context.Context, envelope.Record, envelope.Wrapped) error
	remove     func(context.Context, tenant.ID, envelope.Purpose, uint32) (int, error)
	list       func(context.Context, envelope.Position, int) ([]envelope.Record, error)
	shred      func(context.Context, envelope.Tombstone) error
	tombstone  func(context.Context, tenant.ID) (envelope.Tombstone, bool, error)
	tombstones func(context.Context, tenant.ID, int) ([]envelope.Tombstone, error)
}

func (b *broken) Load(ctx context.Context, id tenant.ID, p envelope.Purpose) ([]envelope.Record, error) {
	return b.load(ctx, id, p)
}

func (b *broken) Create(ctx context.Context, r envelope.Record) error { return b.create(ctx, r) }

func (b *broken) Rewrap(ctx context.Context, old envelope.Record, w envelope.Wrapped) error {
	return b.rewrap(ctx, old, w)
}

func (b *broken) Remove(ctx context.Context, id tenant.ID, p envelope.Purpose, below uint32) (int, error) {
	return b.remove(ctx, id, p, below)
}

func (b *broken) List(ctx context.Context, after envelope.Position, limit int) ([]envelope.Record, error) {
	return b.list(ctx, after, limit)
}

func (b *broken) Shred(ctx context.Context, t envelope.Tombstone) error { return b.shred(ctx, t) }

func (b *broken) Tombstone(ctx context.Context, id tenant.ID) (envelope.Tombstone, bool, error) {
	return b.tombstone(ctx, id)
}

func (b *broken) Tombstones(ctx context.Context, after tenant.ID, limit int) ([]envelope.Tombstone, error) {
	return b.tombstones(ctx, after, limit)
}

func whole() *broken {
	s := envelope.NewMemoryStore()
	return &broken{
		Store: s, load: s.Load, create: s.Create, rewrap: s.Rewrap, remove: s.Remove, list: s.List,
		shred: s.Shred, tombstone: s.Tombstone, tombstones: s.Tombstones,
	}
}

// faults are stores that are wrong in one way, and the clause that has to notice.
var faults = []struct {
	name   string
	clause string
	spoil  func(b *broken)
}{
	{"reports a tenant without keys as an error", "load of nothing is no error", func(b *broken) {
		b.load = func(ctx context.Context, id tenant.ID, p envelope.Purpose) ([]envelope.Record, error) {
			records, err := b.Store.Load(ctx, id, p)
			if err == nil && len(records) == 0 {
				err = errors.New("no rows")
			}
			return records, err
		}
	}},
	{"keeps times to the second", "create keeps the record as it is", func(b *broken) {
		b.create = func(ctx context.Context, r envelope.Record) error {
			r.Created = r.Created.Truncate(time.Second)
			return b.Store.Create(ctx, r)
		}
	}},
	{"cuts long keys", "create keeps the record as it is", func(b *broken) {
		b.create = func(ctx context.Context, r envelope.Record) error {
			r.Wrapped.Blob = r.Wrapped.Blob[:min(255, len(r.Wrapped.Blob))]
			return b.Store.Create(ctx, r)
		}
	}},
	{"returns the newest first", "create keeps the record as it is", func(b *broken) {
		b.load = func(ctx context.Context, id tenant.ID, p envelope.Purpose) ([]envelope.Record, error) {
			records, err := b.Store.Load(ctx, id, p)
			slices.Reverse(records)
			return records, err
		}
	}},
	{"forgets the purpose", "tenants and purposes are kept apart", func(b *broken) {
		b.load = func(ctx context.Context, id tenant.ID, _ envelope.Purpose) ([]envelope.Record, error) {
			return b.Store.Load(ctx, id, envelope.Fields)
		}
	}},
	{"finds tenants by prefix", "tenants and purposes are kept apart", func(b *broken) {
		b.load = func(ctx context.Context, id tenant.ID, p envelope.Purpose) ([]envelope.Record, error) {
			records, err := b.Store.Load(ctx, id, p)
			if err == nil && len(records) == 0 && strings.HasPrefix("acme", string(id)) {
				return b.Store.Load(ctx, "acme", p)
			}
			return records, err
		}
	}},
	{"takes a version twice", "create wants the version that follows", func(b *broken) {
		b.create = func(ctx context.Context, r envelope.Record) error {
			if err := b.Store.Create(ctx, r); !errors.Is(err, envelope.ErrConflict) || r.Version == 0 || r.Version > 1 {
				return err
			}
			return nil
		}
	}},
	{"leaves gaps", "create wants the version that follows", func(b *broken) {
		b.create = func(ctx context.Context, r envelope.Record) error {
			err := b.Store.Create(ctx, r)
			if errors.Is(err, envelope.ErrConflict) && r.Version == 3 {
				return nil
			}
			return err
		}
	}},
	{"looks before it writes", "one of many creates a version", func(b *broken) {
		var mu sync.Mutex
		var waiting int
		all := make(chan struct{})
		b.create = func(ctx context.Context, r envelope.Record) error {
			records, err := b.Store.Load(ctx, r.Tenant, r.Purpose)
			if err != nil || len(records) >= int(r.Version) {
				return envelope.ErrConflict
			}
			mu.Lock()
			if waiting++; waiting == racers {
				close(all)
			}
			mu.Unlock()
			<-all
			_ = b.Store.Create(ctx, r)
			return nil
		}
	}},
	{"keeps the caller's bytes", "records are not shared", sharing},
	{"rewraps every version", "rewrap replaces the wrapped key alone", func(b *broken) {
		b.rewrap = func(ctx context.Context, old envelope.Record, w envelope.Wrapped) error {
			records, err := b.Store.Load(ctx, old.Tenant, old.Purpose)
			for _, r := range records {
				err = errors.Join(err, b.Store.Rewrap(ctx, r, w))
			}
			return err
		}
	}},
	{"rewraps whatever is there", "rewrap wants the wrapped key that is there", func(b *broken) {
		b.rewrap = func(ctx context.Context, old envelope.Record, w envelope.Wrapped) error {
			records, err := b.Store.Load(ctx, old.Tenant, old.Purpose)
			for _, r := range records {
				if r.Version == old.Version {
					return b.Store.Rewrap(ctx, r, w)
				}
			}
			return errors.Join(err, envelope.ErrConflict)
		}
	}},
	{"compares the key's ID alone", "one of many rewraps", func(b *broken) {
		b.rewrap = func(ctx context.Context, old envelope.Record, w envelope.Wrapped) error {
			if err := b.Store.Rewrap(ctx, old, w); !errors.Is(err, envelope.ErrConflict) {
				return err
			}
			return nil
		}
	}},
	{"removes the version itself too", "remove destroys older versions", func(b *broken) {
		b.remove = func(ctx context.Context, id tenant.ID, p envelope.Purpose, below uint32) (int, error) {
			return b.Store.Remove(ctx, id, p, below+1)
		}
	}},
	{"removes for all purposes", "remove destroys older versions", func(b *broken) {
		b.remove = func(ctx context.Context, id tenant.ID, p envelope.Purpose, below uint32) (int, error) {
			_, _ = b.Store.Remove(ctx, id, envelope.Indexes, below)
			return b.Store.Remove(ctx, id, p, below)
		}
	}},
	{"counts from 1 after a removal", "remove leaves the newest, and versions go on", func(b *broken) {
		b.create = func(ctx context.Context, r envelope.Record) error {
			err := b.Store.Create(ctx, r)
			if records, _ := b.Store.Load(ctx, r.Tenant, r.Purpose); len(records) == 1 && records[0].Version == 3 && r.Version == 1 {
				return nil
			}
			return err
		}
	}},
	{"lists by purpose first", "list goes over all tenants in order", func(b *broken) {
		b.list = func(ctx context.Context, after envelope.Position, limit int) ([]envelope.Record, error) {
			all, err := b.Store.List(ctx, envelope.Position{}, 1000)
			slices.SortStableFunc(all, func(a, b envelope.Record) int { return strings.Compare(string(a.Purpose), string(b.Purpose)) })
			i := slices.IndexFunc(all, func(r envelope.Record) bool { return r.Position() == after })
			return all[i+1 : min(len(all), i+1+limit)], err
		}
	}},
	{"skips the rest of a tenant between pages", "list goes over all tenants in order", func(b *broken) {
		b.list = func(ctx context.Context, after envelope.Position, limit int) ([]envelope.Record, error) {
			if after.Tenant != "" {
				after.Purpose = "zzz"
			}
			return b.Store.List(ctx, after, limit)
		}
	}},
	{"ignores the limit", "list goes over all tenants in order", func(b *broken) {
		b.list = func(ctx context.Context, after envelope.Position, _ int) ([]envelope.Record, error) {
			return b.Store.List(ctx, after, 1000)
		}
	}},
	{"shreds only fields", "shred destroys the tenant's keys alone", func(b *broken) {
		var left []envelope.Record
		b.shred = func(ctx context.Context, t envelope.Tombstone) error {
			records, _ := b.Store.Load(ctx, t.Tenant, envelope.Indexes)
			left = append(left, records...)
			return b.Store.Shred(ctx, t)
		}
		b.list = func(ctx context.Context, after envelope.Position, limit int) ([]envelope.Record, error) {
			records, err := b.Store.List(ctx, after, limit)
			return append(slices.Clone(left), records...), err
		}
	}},
	{"shreds every tenant", "shred destroys the tenant's keys alone", func(b *broken) {
		b.shred = func(ctx context.Context, t envelope.Tombstone) error {
			_ = b.Store.Shred(ctx, envelope.Tombstone{Tenant: "globex"})
			return b.Store.Shred(ctx, t)
		}
	}},
	{"answers like a new tenant after shred", "a shredded tenant has no keys again", func(b *broken) {
		b.load = func(ctx context.Context, id tenant.ID, p envelope.Purpose) ([]envelope.Record, error) {
			records, err := b.Store.Load(ctx, id, p)
			if errors.Is(err, envelope.ErrShredded) {
				return nil, nil
			}
			return records, err
		}
	}},
	{"creates after shred", "a shredded tenant has no keys again", func(b *broken) {
		b.create = func(ctx context.Context, r envelope.Record) error {
			err := b.Store.Create(ctx, r)
			if errors.Is(err, envelope.ErrShredded) {
				return nil
			}
			return err
		}
	}},
	{"fails the second time", "shred destroys again", func(b *broken) {
		b.shred = func(ctx context.Context, t envelope.Tombstone) error {
			if _, gone, _ := b.Store.Tombstone(ctx, t.Tenant); gone {
				return envelope.ErrShredded
			}
			return b.Store.Shred(ctx, t)
		}
	}},
	{"writes over the first tombstone", "the first tombstone stays", func(b *broken) {
		last := make(map[tenant.ID]envelope.Tombstone)
		b.shred = func(ctx context.Context, t envelope.Tombstone) error {
			last[t.Tenant] = t
			return b.Store.Shred(ctx, t)
		}
		b.tombstone = func(_ context.Context, id tenant.ID) (envelope.Tombstone, bool, error) {
			t, found := last[id]
			return t, found, nil
		}
	}},
	{"adds a key that was under way", "a race of create and shred leaves no key", func(b *broken) {
		var late []envelope.Record
		var mu sync.Mutex
		b.create = func(ctx context.Context, r envelope.Record) error {
			err := b.Store.Create(ctx, r)
			if errors.Is(err, envelope.ErrShredded) || err == nil {
				mu.Lock()
				late = append(late, r)
				mu.Unlock()
			}
			return err
		}
		b.list = func(context.Context, envelope.Position, int) ([]envelope.Record, error) { return late, nil }
	}},
	{"works after its context ended", "a cancelled context stops everything", func(b *broken) {
		b.rewrap = func(ctx context.Context, old envelope.Record, w envelope.Wrapped) error {
			return b.Store.Rewrap(context.WithoutCancel(ctx), old, w)
		}
	}},
	{"knows tombstones by prefix", "a living tenant has no tombstone", func(b *broken) {
		b.tombstone = func(ctx context.Context, id tenant.ID) (envelope.Tombstone, bool, error) {
			if t, found, err := b.Store.Tombstone(ctx, "acme"); found && strings.HasPrefix(string(id), "acme") {
				return t, true, err
			}
			return b.Store.Tombstone(ctx, id)
		}
	}},
	{"keeps one line of the reason", "shred keeps the tombstone", func(b *broken) {
		b.shred = func(ctx context.Context, t envelope.Tombstone) error {
			t.Reason, _, _ = strings.Cut(t.Reason, "\n")
			return b.Store.Shred(ctx, t)
		}
	}},
	{"keeps a tombstone for each call", "one of many tombstones stays", func(b *broken) {
		b.tombstones = func(ctx context.Context, after tenant.ID, limit int) ([]envelope.Tombstone, error) {
			all, err := b.Store.Tombstones(ctx, after, limit)
			return append(all, all...), err
		}
	}},
	{"orders tombstones by locale", "tombstones come in order, by pages", func(b *broken) {
		b.tombstones = func(ctx context.Context, after tenant.ID, limit int) ([]envelope.Tombstone, error) {
			all, err := b.Store.Tombstones(ctx, after, limit)
			slices.SortFunc(all, func(a, b envelope.Tombstone) int {
				return strings.Compare(strings.ReplaceAll(string(a.Tenant), "-", ""), strings.ReplaceAll(string(b.Tenant), "-", ""))
			})
			return all, err
		}
	}},
	{"shreds after its context ended", "a cancelled context stops the journal", func(b *broken) {
		b.shred = func(ctx context.Context, t envelope.Tombstone) error {
			_ = b.Store.Shred(context.WithoutCancel(ctx), t)
			return ctx.Err()
		}
	}},
}

// sharing hands the bytes it keeps to the caller.
func sharing(b *broken) {
	kept := make(map[envelope.Position]envelope.Record)
	b.create = func(_ context.Context, r envelope.Record) error {
		kept[r.Position()] = r
		return nil
	}
	b.load = func(context.Context, tenant.ID, envelope.Purpose) ([]envelope.Record, error) {
		var records []envelope.Record
		for _, r := range kept {
			records = append(records, r)
		}
		return records, nil
	}
	b.list = func(ctx context.Context, _ envelope.Position, _ int) ([]envelope.Record, error) {
		return b.load(ctx, "", "")
	}
}

func TestTheSuiteCatchesBrokenStores(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			b := whole()
			f.spoil(b)
			assert.Error(t, check(t, b, f.clause))
		})
	}
}

// Every clause has a fault that it catches.
func TestEveryClauseIsNeeded(t *testing.T) {
	t.Parallel()
	var names []string
	for _, c := range storeClauses() {
		names = append(names, c.name)
	}
	for _, c := range journalClauses() {
		names = append(names, c.name)
	}
	for _, name := range names {
		assert.True(t, slices.ContainsFunc(slices.Clone(faults), func(f struct {
			name   string
			clause string
			spoil  func(b *broken)
		}) bool {
			return f.clause == name
		}), "no broken store for %q", name)
	}
}

// check runs one clause.
func check(t *testing.T, s envelope.Store, name string) error {
	t.Helper()
	for _, c := range storeClauses() {
		if c.name == name {
			return c.check(t.Context(), s)
		}
	}
	for _, c := range journalClauses() {
		if c.name == name {
			return c.check(t.Context(), s)
		}
	}
	require.Fail(t, "no such clause", name)
	return nil
}

// brokenProvider is a correct provider with one fault put in.
type brokenProvider struct {
	*envelope.Keyring
	keyID  func() string
	wrap   func(context.Context, []byte, envelope.Binding) (envelope.Wrapped, error)
	unwrap func(context.Context, envelope.Wrapped, envelope.Binding) ([]byte, error)
}

func (b *brokenProvider) KeyID() string { return b.keyID() }

func (b *brokenProvider) Wrap(ctx context.Context, key []byte, binding envelope.Binding) (envelope.Wrapped, error) {
	return b.wrap(ctx, key, binding)
}

func (b *brokenProvider) Unwrap(ctx context.Context, w envelope.Wrapped, binding envelope.Binding) ([]byte, error) {
	return b.unwrap(ctx, w, binding)
}

var providerFaults = []struct {
	name   string
	clause string
	spoil  func(b *brokenProvider)
}{
	{"overwrites what it was given", "unwrap undoes wrap", func(b *brokenProvider) {
		b.wrap = func(ctx context.Context, key []byte, binding envelope.Binding) (envelope.Wrapped, error) {
			defer clear(key)
			return b.Keyring.Wrap(ctx, key, binding)
		}
	}},
	{"hands out its own copy", "unwrap undoes wrap", func(b *brokenProvider) {
		kept := make(map[string][]byte)
		b.unwrap = func(ctx context.Context, w envelope.Wrapped, binding envelope.Binding) ([]byte, error) {
			if key, ok := kept[string(w.Blob)]; ok {
				return key, nil
			}
			key, err := b.Keyring.Unwrap(ctx, w, binding)
			kept[string(w.Blob)] = key
			return key, err
		}
	}},
	{"names no key", "a wrapped key says by which key", func(b *brokenProvider) {
		b.wrap = func(ctx context.Context, key []byte, binding envelope.Binding) (envelope.Wrapped, error) {
			w, err := b.Keyring.Wrap(ctx, key, binding)
			w.KeyID = ""
			return w, err
		}
	}},
	{"does not encrypt", "a wrapped key does not show what it wraps", func(b *brokenProvider) {
		b.wrap = func(_ context.Context, key []byte, _ envelope.Binding) (envelope.Wrapped, error) {
			return envelope.Wrapped{KeyID: b.KeyID(), Blob: bytes.Clone(key)}, nil
		}
	}},
	{"forgets the binding", "a wrapped key belongs to its binding", func(b *brokenProvider) {
		b.wrap = func(ctx context.Context, key []byte, _ envelope.Binding) (envelope.Wrapped, error) {
			return b.Keyring.Wrap(ctx, key, envelope.Binding{})
		}
		b.unwrap = func(ctx context.Context, w envelope.Wrapped, _ envelope.Binding) ([]byte, error) {
			return b.Keyring.Unwrap(ctx, w, envelope.Binding{})
		}
	}},
	{"runs the binding's parts together", "a wrapped key belongs to its binding", func(b *brokenProvider) {
		joined := func(binding envelope.Binding) envelope.Binding {
			binding.Tenant += tenant.ID(binding.Purpose)
			binding.Purpose = ""
			return binding
		}
		b.wrap = func(ctx context.Context, key []byte, binding envelope.Binding) (envelope.Wrapped, error) {
			return b.Keyring.Wrap(ctx, key, joined(binding))
		}
		b.unwrap = func(ctx context.Context, w envelope.Wrapped, binding envelope.Binding) ([]byte, error) {
			return b.Keyring.Unwrap(ctx, w, joined(binding))
		}
	}},
	{"reads past the end", "a wrapped key that was changed does not unwrap", func(b *brokenProvider) {
		b.unwrap = func(ctx context.Context, w envelope.Wrapped, binding envelope.Binding) ([]byte, error) {
			if key, err := b.Keyring.Unwrap(ctx, w, binding); err == nil {
				return key, nil
			}
			w.Blob = w.Blob[:max(0, len(w.Blob)-1)]
			return b.Keyring.Unwrap(ctx, w, binding)
		}
	}},
	{"tries every key", "another wrapping key is unknown", func(b *brokenProvider) {
		b.unwrap = func(ctx context.Context, w envelope.Wrapped, binding envelope.Binding) ([]byte, error) {
			w.KeyID = b.KeyID()
			return b.Keyring.Unwrap(ctx, w, binding)
		}
	}},
	{"shares a buffer", "many wrap at once", func(b *brokenProvider) {
		var mu sync.Mutex
		var last envelope.Wrapped
		b.wrap = func(ctx context.Context, key []byte, binding envelope.Binding) (envelope.Wrapped, error) {
			mu.Lock()
			defer mu.Unlock()
			if last.Blob != nil {
				return last, nil
			}
			w, err := b.Keyring.Wrap(ctx, key, binding)
			last = w
			return w, err
		}
	}},
}

func TestTheSuiteCatchesBrokenProviders(t *testing.T) {
	t.Parallel()
	for _, f := range providerFaults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			ring, err := envelope.NewKeyring("k", map[string][]byte{"k": dataKey(9)})
			require.NoError(t, err)
			b := &brokenProvider{Keyring: ring, keyID: ring.KeyID, wrap: ring.Wrap, unwrap: ring.Unwrap}
			f.spoil(b)
			for _, c := range providerClauses() {
				if c.name == f.clause {
					assert.Error(t, c.check(t.Context(), b))
					return
				}
			}
			require.Fail(t, "no such clause", f.clause)
		})
	}
}
