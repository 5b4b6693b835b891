package pgsession

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/postgres"
)

// cachedLimits bounds the limits whose SQL is kept: those of all plans, and of tenants
// that differ from their plan.
const cachedLimits = 1000

// Limits has tenants' limits as SQL, and keeps it. It is safe for concurrent use.
type Limits struct {
	known *lru.Cache[isolation.Limits, *Settings]
}

// NewLimits returns one that knows none yet.
func NewLimits() *Limits {
	known, _ := lru.New[isolation.Limits, *Settings](cachedLimits) // fails for a size below 1 only
	return &Limits{known}
}

// Settings returns l as SQL.
func (c *Limits) Settings(l isolation.Limits) *Settings {
	if l == (isolation.Limits{}) {
		return none
	}
	if s, ok := c.known.Get(l); ok {
		return s
	}
	s := render(l)
	c.known.Add(l, s)
	return s
}

// Settings are a tenant's limits as SQL, in the forms in which a session is confined.
// Each comes after what cleared the session, or the server evaluates it after that.
type Settings struct {
	// Text is SET commands for a message of [Confine], or empty.
	Text string
	// Local is what to add to a list of SELECT, for one transaction, or empty. It is no
	// SET LOCAL, of which the server warns where a statement is the whole transaction.
	Local string
	// all also has what is as on a new session.
	all []postgres.Statement
	set []postgres.Statement
}

var none = render(isolation.Limits{})

// setting is one of the server's. Its values are numbers, whose unit the server knows.
type setting struct {
	name  string
	value int64 // 0 means the server's own
}

func settingsOf(l isolation.Limits) []setting {
	return []setting{
		{"statement_timeout", milliseconds(l.StatementTimeout)},
		{"lock_timeout", milliseconds(l.LockTimeout)},
		{"idle_in_transaction_session_timeout", milliseconds(l.IdleTimeout)},
		{"work_mem", kilobytes(l.WorkMem)},
	}
}

func render(l isolation.Limits) *Settings {
	s := &Settings{}
	var text, local strings.Builder
	for _, one := range settingsOf(l) {
		if one.value == 0 {
			s.all = append(s.all, postgres.Statement{Query: "RESET " + one.name})
			continue
		}
		value := strconv.FormatInt(one.value, 10)
		set := postgres.Statement{Query: "SET " + one.name + " = " + value}
		s.all, s.set = append(s.all, set), append(s.set, set)
		text.WriteString(set.Query + ";")
		fmt.Fprintf(&local, ", pg_catalog.set_config('%s', '%s', true)", one.name, value)
	}
	s.Text, s.Local = text.String(), local.String()
	return s
}

// milliseconds rounds up, since 0 is no limit at the server, to what it takes at most.
func milliseconds(d time.Duration) int64 {
	whole := d.Milliseconds()
	if d%time.Millisecond > 0 {
		whole++
	}
	return min(whole, math.MaxInt32)
}

// minWorkMem is the least that the server takes, in kilobytes.
const minWorkMem = 64

func kilobytes(n int64) int64 {
	if n == 0 {
		return 0
	}
	return min(max(n>>10, minWorkMem), math.MaxInt32)
}

// Ride returns e with s after it, for the session.
func (s *Settings) Ride(e postgres.Entry) postgres.Entry {
	if len(s.set) == 0 {
		return e
	}
	renew := e.Renew
	if renew == nil {
		e.Statements = slices.Concat(e.Statements, s.set)
		return e
	}
	e.Renew = func() ([]postgres.Statement, error) {
		statements, err := renew()
		return slices.Concat(statements, s.set), err
	}
	return e
}

// Set puts s on conn's session, which keeps the rest that it has, in the flight of the
// next statement, or where none rides in a round trip of its own.
func (s *Settings) Set(ctx context.Context, conn *postgres.Conn) error {
	if conn.Rides() {
		return conn.Enter(postgres.Entry{Statements: s.all})
	}
	var text strings.Builder
	for _, one := range s.all {
		text.WriteString(one.Query + ";")
	}
	return Run(ctx, conn, text.String())
}

// Run runs text, if there is any, on conn.
func Run(ctx context.Context, conn driver.Conn, text string) error {
	if text == "" {
		return nil
	}
	execer, ok := conn.(driver.ExecerContext)
	if !ok {
		return fmt.Errorf("isolation: connection of type %T cannot run a statement directly; use a connector of package isolation/postgres", conn)
	}
	if _, err := execer.ExecContext(ctx, text, nil); err != nil {
		return fmt.Errorf("isolation: limit session: %w", err)
	}
	return nil
}
