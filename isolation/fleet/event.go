package fleet

import (
	"fmt"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// Counts is how far a run has come. Done are homes, whether they failed or not.
type Counts struct {
	Total, Done, Failed int
}

// Event is something that happened in a run: [Planned], [WaveBegun], [HomeBegun],
// [HomeRetried], [HomeDone], [HomeFailed] or [WaveDone].
type Event interface {
	// Progress returns how far the run had come when it happened.
	Progress() Counts
	isEvent()
}

// Progress returns c itself.
func (c Counts) Progress() Counts { return c }
func (Counts) isEvent()           {}

// The events.
type (
	// Planned is the first: Total homes are to be migrated.
	Planned struct {
		Counts
		Skipped Report // what is not, and why
	}
	// WaveBegun means that the next homes, until UpTo are done, are a wave.
	WaveBegun struct {
		Counts
		Wave, UpTo int // waves are counted from 1
	}
	// HomeBegun means that a worker turns to a home. Of a shared one, Tenant is the
	// tenant by whom it was found.
	HomeBegun struct {
		Counts
		Tenant tenant.ID
	}
	// HomeRetried means that a home is tried again, after Wait.
	HomeRetried struct {
		Counts
		Tenant  tenant.ID
		Attempt int // that failed, counted from 1
		Wait    time.Duration
		Err     error
	}
	// HomeDone means that a home has all migrations up to the target.
	HomeDone struct {
		Counts
		Tenant   tenant.ID
		Home     string  // isolation.Home.Key
		From, To int64   // versions
		Applied  []int64 // in this run
		Took     time.Duration
	}
	// HomeFailed means that a home stays below the target.
	HomeFailed struct {
		Counts
		Failure
	}
	// WaveDone means that all homes of a wave are done.
	WaveDone struct {
		Counts
		Wave int
	}
)

// Failure is a home that could not be migrated.
type Failure struct {
	Tenant      tenant.ID
	Home        string
	Version     int64 // that it stays at
	Quarantined bool
	Err         error
}

// Error tells where it was, and why.
func (f Failure) Error() string {
	return fmt.Sprintf("tenant %s, at version %d: %v", f.Tenant, f.Version, f.Err)
}

// Unwrap returns why the home could not be migrated.
func (f Failure) Unwrap() error { return f.Err }

// Report is what a run did.
type Report struct {
	Tenants     int // that were looked at
	Current     int // homes that the ledger knew to be current
	Ahead       int // homes that newer code has brought further
	Quarantined int // homes that were left alone
	Absent      int // tenants without a home
	Migrated    int // homes that were brought to the target, or found there
	Failed      int // homes that stay below
	Remaining   int // homes that were not begun
	// Failures are the first homes that failed, 100 at most; the ledger has all.
	Failures []Failure
}

const maxFailures = 100

// String tells r in one line.
func (r Report) String() string {
	return fmt.Sprintf("%d migrated, %d failed, %d remaining; %d current, %d ahead, %d quarantined, %d without a home",
		r.Migrated, r.Failed, r.Remaining, r.Current, r.Ahead, r.Quarantined, r.Absent)
}
