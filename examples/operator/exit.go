package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation/archive"
	"github.com/tenancy-go/tenancy/isolation/fleet"
	"github.com/tenancy-go/tenancy/isolation/route"
	"github.com/tenancy-go/tenancy/tenant"
)

// The exit codes. They are the program's interface to scripts: add, do not change.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitFound       = 3
	exitIncomplete  = 4
	exitBusy        = 5
	exitInterrupted = 130
)

const exitCodes = `Exit codes:
    0  done
    1  failed
    2  wrong usage or configuration
    3  found something: drift, or a hole in isolation
    4  incomplete: some homes failed, the others are done
    5  busy: another process is at it; try again later
  130  interrupted by Ctrl-C: the same command goes on where it stopped
`

// errFound means that a command did its work and found what it was looking for.
var errFound = errors.New("found something")

// usageError is a command line or configuration that makes no sense.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// exitCode returns what the process ends with after err.
func exitCode(ctx context.Context, err error) int {
	var usage *usageError
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, errFound):
		return exitFound
	case errors.Is(err, fleet.ErrIncomplete), errors.Is(err, fleet.ErrStopped):
		return exitIncomplete
	case errors.Is(err, fleet.ErrRunning), errors.Is(err, fleet.ErrBusy), errors.Is(err, archive.ErrConflict),
		errors.Is(err, route.ErrConflict), errors.Is(err, tenant.ErrConflict):
		return exitBusy
	default:
		return exitFailed
	}
}
