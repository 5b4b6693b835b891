package fleet

import "errors"

// The classes of failure.
var (
	// ErrRunning means that another runner migrates by the same ledger.
	ErrRunning = errors.New("fleet: another runner is at work; wait for it, or use the option Wait")
	// ErrStopped means that more homes failed than the error budget allows, or one
	// in a wave before the last. The rest was not begun.
	ErrStopped = errors.New("fleet: stopped by the error budget")
	// ErrIncomplete means that a run went through, but homes failed.
	ErrIncomplete = errors.New("fleet: some homes failed")
	// ErrChanged means that a migration was changed after homes had applied it.
	ErrChanged = errors.New("fleet: a migration was changed after it was applied")
	// ErrOutOfOrder means that a home lacks a migration below one that it has.
	ErrOutOfOrder = errors.New("fleet: a migration came too late")
	// ErrQuarantined means that a home is left alone until Release.
	ErrQuarantined = errors.New("fleet: home is quarantined")
	// ErrBusy means that a home was not to be had in time, see HomeWait.
	ErrBusy = errors.New("fleet: something else is at the home")
	// ErrBehind means that a tenant's home is below the version that is needed.
	ErrBehind = errors.New("fleet: tenant's home is not at the version that is needed")
)
