package filestest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tenancy-go/tenancy/isolation/files"
	"github.com/tenancy-go/tenancy/tenant"
)

// ErrFull is what a [Ledger] answers past its limit.
var ErrFull = errors.New("filestest: no room left")

// Ledger is an exact files.Observer with one limit for each tenant.
type Ledger struct {
	Limit int64

	mu       sync.Mutex
	used     map[tenant.ID]int64 // guarded by mu, as is reserved
	reserved map[tenant.ID]int64
}

var _ files.Observer = (*Ledger)(nil)

// NewLedger returns a ledger in which each tenant has limit bytes.
func NewLedger(limit int64) *Ledger {
	return &Ledger{Limit: limit, used: make(map[tenant.ID]int64), reserved: make(map[tenant.ID]int64)}
}

// Reserve implements files.Observer.
func (l *Ledger) Reserve(_ context.Context, id tenant.ID, bytes int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.used[id]+l.reserved[id]+bytes > l.Limit {
		return ErrFull
	}
	l.reserved[id] += bytes
	return nil
}

// Settle implements files.Observer.
func (l *Ledger) Settle(_ context.Context, id tenant.ID, reserved, growth int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reserved[id] -= reserved
	l.used[id] += growth
	if l.reserved[id] < 0 || l.used[id] < 0 {
		return fmt.Errorf("filestest: tenant %s has %d bytes reserved and %d used", id, l.reserved[id], l.used[id])
	}
	return nil
}

// Reconcile implements files.Observer.
func (l *Ledger) Reconcile(_ context.Context, id tenant.ID, bytes int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used[id] = bytes
	return nil
}

// Used returns what id's files take, as the ledger knows it, and what is reserved.
func (l *Ledger) Used(id tenant.ID) (used, reserved int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.used[id], l.reserved[id]
}
