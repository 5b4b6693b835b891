package envelopetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/tenant"
)

const (
	fields  = envelope.Fields
	indexes = envelope.Indexes
)

func storeClauses() []clause[envelope.Store] {
	return []clause[envelope.Store]{
		{"load of nothing is no error", loadsNothing},
		{"create keeps the record as it is", createKeeps},
		{"tenants and purposes are kept apart", keepsApart},
		{"create wants the version that follows", createFollows},
		{"one of many creates a version", createRace},
		{"records are not shared", nothingShared},
		{"rewrap replaces the wrapped key alone", rewrapReplaces},
		{"rewrap wants the wrapped key that is there", rewrapCompares},
		{"one of many rewraps", rewrapRace},
		{"remove destroys older versions", removeDestroys},
		{"remove leaves the newest, and versions go on", removeLeaves},
		{"list goes over all tenants in order", listOrders},
		{"shred destroys the tenant's keys alone", shredDestroys},
		{"a shredded tenant has no keys again", shredRefuses},
		{"shred destroys again", shredAgain},
		{"a race of create and shred leaves no key", shredRace},
		{"a cancelled context stops everything", storeCancelled},
	}
}

func loadsNothing(ctx context.Context, s envelope.Store) error {
	return holds(ctx, s, "acme", fields)
}

func createKeeps(ctx context.Context, s envelope.Store) error {
	first, second := record("acme", fields, 1), record("acme", fields, 2)
	second.Wrapped = envelope.Wrapped{KeyID: "arn:aws:kms:eu-west-1:1:key/é'\"", Blob: bytes.Repeat([]byte{0, 1, 0xfe}, 2000)}
	return steps(
		func() error { return create(ctx, s, first, second) },
		func() error { return holds(ctx, s, "acme", fields, first, second) },
	)
}

func keepsApart(ctx context.Context, s envelope.Store) error {
	a, b, c := record("acme", fields, 1), record("globex", fields, 1), record("acme", indexes, 1)
	a.Wrapped.KeyID, b.Wrapped.KeyID, c.Wrapped.KeyID = "a", "b", "c"
	return steps(
		func() error { return create(ctx, s, a, b, c) },
		func() error { return holds(ctx, s, "acme", fields, a) },
		func() error { return holds(ctx, s, "globex", fields, b) },
		func() error { return holds(ctx, s, "acme", indexes, c) },
		func() error { return holds(ctx, s, "globex", indexes) },
		func() error { return holds(ctx, s, "acm", fields) },
	)
}

func createFollows(ctx context.Context, s envelope.Store) error {
	refuse := func(version uint32) func() error {
		return func() error {
			return wantErr(fmt.Sprintf("create version %d", version), s.Create(ctx, record("acme", fields, version)), envelope.ErrConflict)
		}
	}
	return steps(
		refuse(0), refuse(2),
		func() error { return create(ctx, s, record("acme", fields, 1)) },
		refuse(0), refuse(1), refuse(3),
		func() error { return create(ctx, s, record("acme", fields, 2)) },
		func() error {
			return holds(ctx, s, "acme", fields, record("acme", fields, 1), record("acme", fields, 2))
		},
	)
}

// numbered returns a record that tells who made it.
func numbered(version uint32, i int) envelope.Record {
	r := record("acme", fields, version)
	r.Wrapped.Blob = fmt.Appendf(nil, "by %d", i)
	return r
}

func createRace(ctx context.Context, s envelope.Store) error {
	for version := uint32(1); version <= 3; version++ {
		winner, err := oneWins(race(racers, func(i int) error { return s.Create(ctx, numbered(version, i)) }), envelope.ErrConflict)
		if err != nil {
			return err
		}
		kept, err := s.Load(ctx, "acme", fields)
		if err != nil || len(kept) == 0 {
			return fmt.Errorf("load after a race: %d records, error %w", len(kept), err)
		}
		if err := same("the winner's key", kept[len(kept)-1], numbered(version, winner)); err != nil {
			return err
		}
	}
	return nil
}

func nothingShared(ctx context.Context, s envelope.Store) error {
	given := record("acme", fields, 1)
	if err := create(ctx, s, given); err != nil {
		return err
	}
	given.Wrapped.Blob[0] ^= 1
	loaded, err := s.Load(ctx, "acme", fields)
	if err != nil || len(loaded) != 1 {
		return fmt.Errorf("load: %d records, error %w", len(loaded), err)
	}
	loaded[0].Wrapped.Blob[0] ^= 1
	listed, err := s.List(ctx, envelope.Position{}, 10)
	if err != nil || len(listed) != 1 {
		return fmt.Errorf("list: %d records, error %w", len(listed), err)
	}
	listed[0].Wrapped.Blob[0] ^= 1
	return holds(ctx, s, "acme", fields, record("acme", fields, 1))
}

var rewrapped = envelope.Wrapped{KeyID: "new", Blob: []byte("wrapped anew")}

func rewrapReplaces(ctx context.Context, s envelope.Store) error {
	old := record("acme", fields, 1)
	want := old
	want.Wrapped = rewrapped
	others := []envelope.Record{record("acme", fields, 2), record("globex", fields, 1), record("acme", indexes, 1)}
	return steps(
		func() error { return create(ctx, s, old) },
		func() error { return create(ctx, s, others...) },
		func() error { return s.Rewrap(ctx, old, rewrapped) },
		func() error { return holds(ctx, s, "acme", fields, want, others[0]) },
		func() error { return holds(ctx, s, "globex", fields, others[1]) },
		func() error { return holds(ctx, s, "acme", indexes, others[2]) },
	)
}

func rewrapCompares(ctx context.Context, s envelope.Store) error {
	kept := record("acme", fields, 1)
	if err := create(ctx, s, kept); err != nil {
		return err
	}
	refuse := func(what string, change func(*envelope.Record)) func() error {
		return func() error {
			old := record("acme", fields, 1)
			change(&old)
			return wantErr("rewrap with another "+what, s.Rewrap(ctx, old, rewrapped), envelope.ErrConflict)
		}
	}
	return steps(
		refuse("tenant", func(r *envelope.Record) { r.Tenant = "globex" }),
		refuse("purpose", func(r *envelope.Record) { r.Purpose = indexes }),
		refuse("version", func(r *envelope.Record) { r.Version = 2 }),
		refuse("wrapping key", func(r *envelope.Record) { r.Wrapped.KeyID = "other" }),
		refuse("wrapped key", func(r *envelope.Record) { r.Wrapped.Blob[1] ^= 1 }),
		func() error { return holds(ctx, s, "acme", fields, kept) },
	)
}

func rewrapRace(ctx context.Context, s envelope.Store) error {
	old := record("acme", fields, 1)
	if err := create(ctx, s, old); err != nil {
		return err
	}
	winner, err := oneWins(race(racers, func(i int) error {
		return s.Rewrap(ctx, old, envelope.Wrapped{KeyID: "new", Blob: numbered(1, i).Wrapped.Blob})
	}), envelope.ErrConflict)
	if err != nil {
		return err
	}
	want := numbered(1, winner)
	want.Wrapped.KeyID = "new"
	return holds(ctx, s, "acme", fields, want)
}

// filled creates three versions of acme's key, and of others' keys beside it.
func filled(ctx context.Context, s envelope.Store) error {
	for version := uint32(1); version <= 3; version++ {
		if err := create(ctx, s, record("acme", fields, version), record("acme", indexes, version), record("globex", fields, version)); err != nil {
			return err
		}
	}
	return nil
}

func removes(ctx context.Context, s envelope.Store, below uint32, want int) func() error {
	return func() error {
		n, err := s.Remove(ctx, "acme", fields, below)
		if err != nil {
			return fmt.Errorf("remove below %d: %w", below, err)
		}
		return same(fmt.Sprintf("remove below %d destroys", below), n, want)
	}
}

func all(id tenant.ID, p envelope.Purpose) []envelope.Record {
	return []envelope.Record{record(id, p, 1), record(id, p, 2), record(id, p, 3)}
}

func removeDestroys(ctx context.Context, s envelope.Store) error {
	return steps(
		func() error { return filled(ctx, s) },
		removes(ctx, s, 1, 0),
		removes(ctx, s, 3, 2),
		removes(ctx, s, 3, 0),
		func() error { return holds(ctx, s, "acme", fields, record("acme", fields, 3)) },
		func() error { return holds(ctx, s, "acme", indexes, all("acme", indexes)...) },
		func() error { return holds(ctx, s, "globex", fields, all("globex", fields)...) },
	)
}

func removeLeaves(ctx context.Context, s envelope.Store) error {
	return steps(
		removes(ctx, s, 9, 0),
		func() error { return filled(ctx, s) },
		removes(ctx, s, 9, 2),
		func() error { return holds(ctx, s, "acme", fields, record("acme", fields, 3)) },
		func() error {
			return wantErr("create a version that was removed", s.Create(ctx, record("acme", fields, 1)), envelope.ErrConflict)
		},
		func() error { return create(ctx, s, record("acme", fields, 4)) },
	)
}

func listOrders(ctx context.Context, s envelope.Store) error {
	want := []envelope.Record{
		record("a", "z", 1), record("a-b", fields, 1), record("a-b", fields, 2), record("a-b", indexes, 1),
		record("a0", fields, 1), record("ab", "a.b", 1), record("ab", "a_b", 1), record("ab", "ab", 1),
	}
	for _, i := range []int{7, 3, 1, 5, 0, 2, 6, 4} { // 1 before 2
		if err := create(ctx, s, want[i]); err != nil {
			return err
		}
	}
	for limit := 1; limit <= len(want)+1; limit++ {
		var got []envelope.Record
		var after envelope.Position
		for {
			page, err := s.List(ctx, after, limit)
			if err != nil {
				return fmt.Errorf("list: %w", err)
			}
			if len(page) > limit || len(got) > len(want) {
				return fmt.Errorf("list: a page of %d, %d records in all; want %d at a time, %d in all", len(page), len(got), limit, len(want))
			}
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
			after = page[len(page)-1].Position()
		}
		if err := same(fmt.Sprintf("list, %d at a time", limit), got, want); err != nil {
			return err
		}
	}
	return nil
}

func shredDestroys(ctx context.Context, s envelope.Store) error {
	return steps(
		func() error { return filled(ctx, s) },
		func() error { return s.Shred(ctx, tombstone("acme", "left")) },
		func() error { return holds(ctx, s, "globex", fields, all("globex", fields)...) },
		func() error {
			listed, err := s.List(ctx, envelope.Position{}, 100)
			if err != nil {
				return fmt.Errorf("list: %w", err)
			}
			return same("list after shred", listed, all("globex", fields))
		},
	)
}

func shredRefuses(ctx context.Context, s envelope.Store) error {
	refuse := func(id tenant.ID, p envelope.Purpose) func() error {
		return func() error {
			_, err := s.Load(ctx, id, p)
			return errors.Join(
				wantErr("load", err, envelope.ErrShredded),
				wantErr("create version 1", s.Create(ctx, record(id, p, 1)), envelope.ErrShredded),
				wantErr("create version 4", s.Create(ctx, record(id, p, 4)), envelope.ErrShredded),
			)
		}
	}
	return steps(
		func() error { return filled(ctx, s) },
		func() error { return s.Shred(ctx, tombstone("acme", "left")) },
		func() error { return s.Shred(ctx, tombstone("never", "had no keys")) },
		refuse("acme", fields), refuse("acme", indexes), refuse("acme", "archive"), refuse("never", fields),
		func() error {
			return wantErr("rewrap", s.Rewrap(ctx, record("acme", fields, 1), rewrapped), envelope.ErrConflict)
		},
		func() error { return create(ctx, s, record("other", fields, 1)) },
	)
}

// shredAgain has keys beside a tombstone only in a store that was broken from outside;
// here it sees to it that a second call is no error, and changes nothing.
func shredAgain(ctx context.Context, s envelope.Store) error {
	return steps(
		func() error { return filled(ctx, s) },
		func() error { return s.Shred(ctx, tombstone("acme", "first")) },
		func() error { return s.Shred(ctx, tombstone("acme", "second")) },
		func() error { return has(ctx, s, tombstone("acme", "first")) },
	)
}

func shredRace(ctx context.Context, s envelope.Store) error {
	for round := range 10 {
		id := tenant.ID(fmt.Sprintf("t-%d", round))
		errs := race(racers, func(i int) error {
			if i == racers/2 {
				return s.Shred(ctx, tombstone(id, "left"))
			}
			r := record(id, envelope.Purpose(fmt.Sprintf("p-%d", i)), 1)
			return s.Create(ctx, r)
		})
		for i, err := range errs {
			if err != nil && (i == racers/2 || !errors.Is(err, envelope.ErrShredded)) {
				return fmt.Errorf("racer %d: %w", i, err)
			}
		}
		listed, err := s.List(ctx, envelope.Position{}, 100)
		if err != nil || len(listed) > 0 {
			return fmt.Errorf("list after a race: %d keys, error %w; want none", len(listed), err)
		}
	}
	return nil
}

func storeCancelled(ctx context.Context, s envelope.Store) error {
	kept := record("acme", fields, 1)
	if err := create(ctx, s, kept, record("acme", fields, 2)); err != nil {
		return err
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, loadErr := s.Load(gone, "acme", fields)
	_, removeErr := s.Remove(gone, "acme", fields, 2)
	_, listErr := s.List(gone, envelope.Position{}, 1)
	return steps(
		func() error { return wantErr("load", loadErr, context.Canceled) },
		func() error { return wantErr("remove", removeErr, context.Canceled) },
		func() error { return wantErr("list", listErr, context.Canceled) },
		func() error { return wantErr("create", s.Create(gone, record("acme", fields, 3)), context.Canceled) },
		func() error { return wantErr("rewrap", s.Rewrap(gone, kept, rewrapped), context.Canceled) },
		func() error { return holds(ctx, s, "acme", fields, kept, record("acme", fields, 2)) },
	)
}
