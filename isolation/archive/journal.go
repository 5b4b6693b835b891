package archive

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// Step is how far a move has come.
type Step string

// The steps. Up to Flipping a move can be rolled back.
const (
	Planned    Step = "planned"     // nothing is done yet
	Prepared   Step = "prepared"    // the home it goes to is there, and empty
	Captured   Step = "captured"    // changes are recorded where it lives
	Copied     Step = "copied"      // a snapshot is copied and verified; changes follow
	Frozen     Step = "frozen"      // it cannot write; the last changes follow
	Flipping   Step = "flipping"    // both sides are equal; its place is being changed
	Flipped    Step = "flipped"     // it lives in its new home; the old one is kept for a while
	Dropping   Step = "dropping"    // the old one is being removed
	Done       Step = "done"        // the old one is removed
	RolledBack Step = "rolled back" // it stays where it was, and the copy is removed
)

// Record is a move as the journal has it.
type Record struct {
	Tenant  tenant.ID     `json:"tenant"`
	From    string        `json:"from"`
	To      string        `json:"to"`
	Step    Step          `json:"step"`
	Started time.Time     `json:"started"`
	Grace   time.Duration `json:"grace,omitempty"`  // how long its old home is kept
	Flipped time.Time     `json:"flipped,omitzero"` // when its place was changed
	Frozen  time.Duration `json:"frozen,omitempty"` // how long it could not write
	Rows    int64         `json:"rows,omitempty"`   // how many it had at that time
	Rounds  int           `json:"rounds,omitempty"` // in which changes followed
	Fresh   bool          `json:"fresh,omitempty"`  // its new home was not there before

	Holder  string    `json:"holder,omitempty"` // who works on it
	Until   time.Time `json:"until,omitzero"`   // when it may be taken over from a holder who is silent
	Version int64     `json:"version"`          // grows with each change
}

// Finished reports whether nothing of the move is left to do.
func (r Record) Finished() bool { return r.Step == Done || r.Step == RolledBack }

// KeptUntil returns when the grace of the old home ends; zero unless the tenant has
// moved.
func (r Record) KeptUntil() time.Time {
	if r.Flipped.IsZero() {
		return time.Time{}
	}
	return r.Flipped.Add(r.Grace)
}

// Journal keeps records of moves, the last one of each tenant. Keep it in a database
// that outlives the homes. It must be safe for concurrent use.
type Journal interface {
	// Find returns a tenant's record, or [ErrNotFound].
	Find(ctx context.Context, id tenant.ID) (Record, error)
	// Create keeps r with Version 1, unless the tenant has a record that is not
	// finished: then the error wraps [ErrConflict].
	Create(ctx context.Context, r Record) (Record, error)
	// Update replaces the record whose Version is r's, and returns it with the next;
	// else the error wraps [ErrConflict].
	Update(ctx context.Context, r Record) (Record, error)
	// Open returns the records that are not finished.
	Open(ctx context.Context) ([]Record, error)
}

// MemoryJournal is a Journal for one process: moves that a crash interrupts cannot be
// resumed from it.
type MemoryJournal struct {
	mu      sync.Mutex
	records map[tenant.ID]Record // guarded by mu
}

var _ Journal = (*MemoryJournal)(nil)

// NewMemoryJournal returns an empty journal.
func NewMemoryJournal() *MemoryJournal { return &MemoryJournal{records: map[tenant.ID]Record{}} }

// Find returns a tenant's record.
func (j *MemoryJournal) Find(ctx context.Context, id tenant.ID) (Record, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r, ok := j.records[id]
	if !ok {
		return Record{}, fmt.Errorf("%w of tenant %s", ErrNotFound, id)
	}
	return r, ctx.Err()
}

// Create keeps a new record.
func (j *MemoryJournal) Create(ctx context.Context, r Record) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if old, ok := j.records[r.Tenant]; ok && !old.Finished() {
		return Record{}, underWay(old)
	}
	r.Version = 1
	j.records[r.Tenant] = r
	return r, nil
}

func underWay(r Record) error {
	return fmt.Errorf("%w: tenant %s is on its way from %s to %s (%s); resume that move, finish it or roll it back", ErrConflict, r.Tenant, r.From, r.To, r.Step)
}

// Update replaces a record.
func (j *MemoryJournal) Update(ctx context.Context, r Record) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if old, ok := j.records[r.Tenant]; !ok || old.Version != r.Version {
		return Record{}, fmt.Errorf("%w: the move of tenant %s has gone on in another process", ErrConflict, r.Tenant)
	}
	r.Version++
	j.records[r.Tenant] = r
	return r, nil
}

// Open returns the records that are not finished.
func (j *MemoryJournal) Open(ctx context.Context) ([]Record, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var open []Record
	for _, r := range j.records {
		if !r.Finished() {
			open = append(open, r)
		}
	}
	return open, ctx.Err()
}
