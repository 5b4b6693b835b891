package envelopetest

import (
	"context"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/tenant"
)

func journalClauses() []clause[envelope.Journal] {
	return []clause[envelope.Journal]{
		{"a living tenant has no tombstone", journalEmpty},
		{"shred keeps the tombstone", journalKeeps},
		{"the first tombstone stays", journalFirst},
		{"one of many tombstones stays", journalRace},
		{"tombstones come in order, by pages", journalPages},
		{"a cancelled context stops the journal", journalCancelled},
	}
}

// has returns nil if j has that tombstone.
func has(ctx context.Context, j envelope.Journal, want envelope.Tombstone) error {
	got, found, err := j.Tombstone(ctx, want.Tenant)
	if err != nil || !found {
		return fmt.Errorf("tombstone of %s: found %t, error %w", want.Tenant, found, err)
	}
	return same("tombstone", got, want)
}

func hasNone(ctx context.Context, j envelope.Journal, id tenant.ID) error {
	got, found, err := j.Tombstone(ctx, id)
	if err != nil || found || got != (envelope.Tombstone{}) {
		return fmt.Errorf("tombstone of %s: got %+v, found %t, error %w; want none", id, got, found, err)
	}
	return nil
}

func journalEmpty(ctx context.Context, j envelope.Journal) error {
	return steps(
		func() error { return hasNone(ctx, j, "acme") },
		func() error { return j.Shred(ctx, tombstone("acme", "left")) },
		func() error { return hasNone(ctx, j, "acm") },
		func() error { return hasNone(ctx, j, "acme-2") },
	)
}

func journalKeeps(ctx context.Context, j envelope.Journal) error {
	want := tombstone("acme", "asked to be forgotten: é \"quoted\",\nby letter")
	return steps(
		func() error { return j.Shred(ctx, want) },
		func() error { return has(ctx, j, want) },
	)
}

func journalFirst(ctx context.Context, j envelope.Journal) error {
	second := envelope.Tombstone{Tenant: "acme", At: created.AddDate(1, 0, 0), Reason: "second"}
	return steps(
		func() error { return j.Shred(ctx, tombstone("acme", "first")) },
		func() error { return j.Shred(ctx, second) },
		func() error { return has(ctx, j, tombstone("acme", "first")) },
	)
}

func journalRace(ctx context.Context, j envelope.Journal) error {
	for i, err := range race(racers, func(i int) error { return j.Shred(ctx, tombstone("acme", fmt.Sprint(i))) }) {
		if err != nil {
			return fmt.Errorf("racer %d: %w", i, err)
		}
	}
	first, _, err := j.Tombstone(ctx, "acme")
	if err != nil {
		return err
	}
	all, err := j.Tombstones(ctx, "", 100)
	if err != nil {
		return err
	}
	return same("tombstones", all, []envelope.Tombstone{first})
}

func journalPages(ctx context.Context, j envelope.Journal) error {
	ids := []tenant.ID{"a", "a-b", "a0", "ab", "b"}
	var want []envelope.Tombstone
	for _, i := range []int{3, 0, 4, 1, 2} {
		if err := j.Shred(ctx, tombstone(ids[i], string(ids[i]))); err != nil {
			return err
		}
	}
	for _, id := range ids {
		want = append(want, tombstone(id, string(id)))
	}
	for limit := 1; limit <= len(ids)+1; limit++ {
		var got []envelope.Tombstone
		var after tenant.ID
		for {
			page, err := j.Tombstones(ctx, after, limit)
			if err != nil {
				return fmt.Errorf("tombstones: %w", err)
			}
			if len(page) > limit || len(got) > len(want) {
				return fmt.Errorf("tombstones: a page of %d, %d in all; want %d at a time, %d in all", len(page), len(got), limit, len(want))
			}
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
			after = page[len(page)-1].Tenant
		}
		if err := same(fmt.Sprintf("tombstones, %d at a time", limit), got, want); err != nil {
			return err
		}
	}
	return nil
}

func journalCancelled(ctx context.Context, j envelope.Journal) error {
	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, _, oneErr := j.Tombstone(gone, "acme")
	_, allErr := j.Tombstones(gone, "", 1)
	return steps(
		func() error { return wantErr("shred", j.Shred(gone, tombstone("acme", "left")), context.Canceled) },
		func() error { return wantErr("tombstone", oneErr, context.Canceled) },
		func() error { return wantErr("tombstones", allErr, context.Canceled) },
		func() error { return hasNone(ctx, j, "acme") },
	)
}
