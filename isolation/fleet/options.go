package fleet

import (
	"errors"
	"fmt"
	"time"
)

// Option changes a setting of [New].
type Option func(*config)

type config struct {
	target           int64 // 0 means the latest
	workers          int
	waves            []Wave
	budget           int
	quarantineAfter  int
	retries          int
	firstWait        time.Duration
	longestWait      time.Duration
	lockTimeout      time.Duration
	statementTimeout time.Duration
	homeWait         time.Duration
	wait             bool
	recheck          bool
	acceptChanges    bool
	allowMissing     bool
	progress         func(Event)
}

func defaults() config {
	return config{
		workers:          4,
		waves:            []Wave{Homes(1), Percent(1), Percent(10)},
		quarantineAfter:  3,
		retries:          5,
		firstWait:        100 * time.Millisecond,
		longestWait:      10 * time.Second,
		lockTimeout:      2 * time.Second,
		statementTimeout: time.Minute,
		homeWait:         time.Minute,
		progress:         func(Event) {},
	}
}

// Target stops at a version before the latest.
func Target(version int64) Option { return func(c *config) { c.target = version } }

// Workers sets how many homes are migrated at a time. The default is 4.
//
// It is the budget of connections, too: under row and schema each worker has one
// open to the tenants' server, under database two (the second holds the lock of the
// home), under sqlitefile one file. In the control database a run has one for its
// lock, and at most one for each worker for as long as a statement takes; the
// SetMaxOpenConns of its *sql.DB may bound these.
func Workers(n int) Option { return func(c *config) { c.workers = n } }

// Wave is how many homes are migrated, from the beginning, before the next wave
// begins.
type Wave struct {
	homes   int
	percent float64
}

// Homes is a wave up to a number of homes.
func Homes(n int) Wave { return Wave{homes: n} }

// Percent is a wave up to a share of the homes that are to be migrated, and one home
// at least.
func Percent(p float64) Wave { return Wave{percent: p} }

// upTo returns how many of total homes are done when the wave ends.
func (w Wave) upTo(total int) int {
	if w.homes > 0 {
		return w.homes
	}
	return int(float64(total)*w.percent/100 + 0.999)
}

// Waves sets after how many homes a run waits until all of them are done, and goes
// on only if none failed. All that is left is the last wave. Tenants are taken in
// the order in which they come: begin with those who are to be canaries. Without
// arguments there is one wave. The default is Homes(1), Percent(1), Percent(10).
func Waves(waves ...Wave) Option { return func(c *config) { c.waves = waves } }

// ErrorBudget sets how many homes may fail in the last wave before no more are
// begun. The default is 0: the first failure ends the run, once the homes that are
// under way are done.
func ErrorBudget(homes int) Option { return func(c *config) { c.budget = homes } }

// QuarantineAfter sets after how many failed runs in a row a home is left alone,
// until [Ledger.Release]; 1 means at once, 0 never. The default is 3.
func QuarantineAfter(runs int) Option { return func(c *config) { c.quarantineAfter = runs } }

// Retries sets how often a run tries again in a home after what may go away by
// itself: a lock that was not to be had in time, a deadlock, a lost connection. It
// waits for first, doubled each time up to longest, and a random part of it less.
// The default is 5, from 100 milliseconds to 10 seconds.
func Retries(n int, first, longest time.Duration) Option {
	return func(c *config) { c.retries, c.firstWait, c.longestWait = n, first, longest }
}

// LockTimeout bounds how long a migration waits for a lock, and so how long those
// wait who queue behind it. 0 means without end. The default is 2 seconds.
func LockTimeout(d time.Duration) Option { return func(c *config) { c.lockTimeout = d } }

// StatementTimeout bounds each statement of a migration. 0 means without end. The
// default is 1 minute.
func StatementTimeout(d time.Duration) Option { return func(c *config) { c.statementTimeout = d } }

// HomeWait bounds how long a run waits for a home that something else is at: an
// archive, another migration, a server process whose runner was killed. After that
// the home has failed, with [ErrBusy]. The default is 1 minute.
func HomeWait(d time.Duration) Option { return func(c *config) { c.homeWait = d } }

// Wait makes a run wait for another runner to end, instead of failing with
// [ErrRunning].
func Wait() Option { return func(c *config) { c.wait = true } }

// Recheck visits every home, whatever the ledger says of it. Use it after tenants'
// databases were restored from a backup, which the ledger does not notice.
func Recheck() Option { return func(c *config) { c.recheck = true } }

// AcceptChanges takes migrations that were changed after they were applied for the
// same as before. Without it such a run fails with [ErrChanged] before it begins.
func AcceptChanges() Option { return func(c *config) { c.acceptChanges = true } }

// AllowMissing applies files that came too late, below a version that a home has
// already, instead of failing there with [ErrOutOfOrder]. A [Function] may always
// come late.
func AllowMissing() Option { return func(c *config) { c.allowMissing = true } }

// Progress calls report with what happens, one event at a time. It holds up the
// workers while it runs.
func Progress(report func(Event)) Option { return func(c *config) { c.progress = report } }

func (c *config) validate(m *Migrations) error {
	if c.target == 0 {
		c.target = m.Latest()
	}
	switch {
	case c.workers < 1:
		return fmt.Errorf("fleet: Workers: want at least 1, got %d", c.workers)
	case c.target < 1 || c.target > m.Latest():
		return fmt.Errorf("fleet: Target: want a version from 1 to %d, got %d", m.Latest(), c.target)
	case c.budget < 0 || c.quarantineAfter < 0 || c.retries < 0:
		return errors.New("fleet: ErrorBudget, QuarantineAfter and Retries take no number below 0")
	case c.firstWait <= 0 || c.longestWait < c.firstWait:
		return fmt.Errorf("fleet: Retries: want a first wait above 0 and a longest that is no shorter, got %s and %s", c.firstWait, c.longestWait)
	case c.homeWait <= 0:
		return fmt.Errorf("fleet: HomeWait: want more than 0, got %s", c.homeWait)
	case c.lockTimeout < 0 || c.statementTimeout < 0:
		return errors.New("fleet: LockTimeout and StatementTimeout take no duration below 0")
	case c.progress == nil:
		return errors.New("fleet: Progress: nil function")
	}
	for _, w := range c.waves {
		if w.homes < 0 || w.percent < 0 || w.percent > 100 || w == (Wave{}) {
			return fmt.Errorf("fleet: Waves: want numbers of homes above 0, or percentages up to 100, got %+v", w)
		}
	}
	return nil
}
