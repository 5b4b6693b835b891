package envelopetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/tenant"
)

// created is a time that every store can keep.
var created = time.Date(2026, 11, 25, 1, 2, 3, 456789000, time.UTC)

func record(id tenant.ID, p envelope.Purpose, version uint32) envelope.Record {
	return envelope.Record{
		Tenant: id, Purpose: p, Version: version, Created: created,
		Wrapped: envelope.Wrapped{KeyID: "old", Blob: []byte{0, 0xff, byte(version), '\'', '\n'}},
	}
}

func tombstone(id tenant.ID, reason string) envelope.Tombstone {
	return envelope.Tombstone{Tenant: id, At: created, Reason: reason}
}

func wantErr(what string, err, want error) error {
	if !errors.Is(err, want) {
		return fmt.Errorf("%s: error is %w, want %w", what, err, want)
	}
	return nil
}

func same(what string, got, want any) error {
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
	return nil
}

// create adds records, which must succeed.
func create(ctx context.Context, s envelope.Store, records ...envelope.Record) error {
	for _, r := range records {
		if err := s.Create(ctx, r); err != nil {
			return fmt.Errorf("create %s %s %d: %w", r.Tenant, r.Purpose, r.Version, err)
		}
	}
	return nil
}

// holds returns nil if s has exactly those records of a tenant's purpose.
func holds(ctx context.Context, s envelope.Store, id tenant.ID, p envelope.Purpose, want ...envelope.Record) error {
	got, err := s.Load(ctx, id, p)
	if err != nil {
		return fmt.Errorf("load %s %s: %w", id, p, err)
	}
	if len(got) == 0 && len(want) == 0 {
		return nil
	}
	return same(fmt.Sprintf("load %s %s", id, p), got, want)
}

// steps returns the first error of several checks; each runs only if those before it
// passed.
func steps(checks ...func() error) error {
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// racers is how many goroutines compete for one thing.
const racers = 50

// race runs do in n goroutines, starting together, and returns their errors.
func race(n int, do func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			<-start
			errs[i] = do(i)
		})
	}
	close(start)
	group.Wait()
	return errs
}

// oneWins returns the one whose error is nil; all others have to be lost.
func oneWins(errs []error, lost error) (int, error) {
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			return 0, fmt.Errorf("both %d and %d won", winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, lost):
			return 0, fmt.Errorf("one of the losers: error is %w, want %w", err, lost)
		}
	}
	if winner < 0 {
		return 0, errors.New("nobody won")
	}
	return winner, nil
}
