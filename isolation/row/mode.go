package row

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/tenancy-go/tenancy/isolation/internal/pgsession"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/tenant"
)

// mode is how a session learns its tenant, and how policies read it.
type mode interface {
	// name is what the audit compares with the mode that is installed.
	name() string
	// functions are what the policies and the columns' defaults call, and what they
	// and enter need.
	functions() []function
	// private are the tables and sequences of the schema tenancy that no tenant reads.
	private() []relation
	// admit makes a new connection ready for enter.
	admit(ctx context.Context, conn driver.Conn) error
	// enter clears conn's session and makes id its tenant, within limits. id is valid.
	enter(ctx context.Context, conn driver.Conn, id tenant.ID, limits *pgsession.Settings) error
	// ride is enter for the flight of the next statement. It leaves what the driver has
	// prepared. Should the server evaluate it in another order than it is written, there
	// is no tenant.
	ride(conn driver.Conn, id tenant.ID) postgres.Entry
	// local returns what makes id the tenant of one transaction, within limits.
	local(conn driver.Conn, id tenant.ID, limits *pgsession.Settings) postgres.Entry
	// renewAfter is how long a session may go on before it has to be entered again; 0
	// means for ever.
	renewAfter() time.Duration
	// retire is what else to run in the transaction that retires a key, after the key.
	retire() []string
}

const (
	modePlain  = "plain"
	modeSealed = "sealed"
	modeSigned = "signed"
)

// choice is what the options say about the mode.
type choice struct {
	name string // empty for the default
	keys []Key
	life time.Duration
	now  func() time.Time
}

// choose takes a mode, of which there is one.
func (c *config) choose(name string, keys ...Key) {
	if c.choice.name != "" && c.choice.name != name {
		c.errs = append(c.errs, fmt.Errorf("isolation/row: both %s and %s were chosen: there is one mode", c.choice.name, name))
		return
	}
	c.choice.name, c.choice.keys = name, keys
	if err := checkKeys(keys); err != nil {
		c.errs = append(c.errs, err)
	}
}

// mode makes the one that was chosen. keys is nil if it has none.
func (c *config) mode() (m mode, keys *keyring, err error) {
	switch c.choice.name {
	case modeSealed:
		if c.scoped {
			return nil, nil, errors.New("isolation/row: Sealed keeps the tenant on the session, so it cannot be TransactionScoped: use Signed")
		}
		keys = newKeyring(c.choice.keys)
		return newSealed(keys, c.choice.now), keys, nil
	case modeSigned:
		keys = newKeyring(c.choice.keys)
		return signed{keys: keys, now: c.choice.now, life: c.choice.life}, keys, nil
	default:
		if c.scoped && c.harden {
			return nil, nil, errors.New("isolation/row: Harden takes set_config away, which Plain needs to be TransactionScoped: use Signed")
		}
		return plain{}, nil, nil
	}
}

// relation is a table or sequence of the schema tenancy.
type relation struct {
	name     string
	sequence bool
	unlogged bool   // a table that is worth nothing after a restart
	columns  string // of a table
}

func (r relation) kind() string {
	if r.sequence {
		return "SEQUENCE"
	}
	return "TABLE"
}

// sql makes r, where nobody but its owner uses it.
func (r relation) sql() string {
	// Every number fits, and none is ever taken by itself.
	definition := " AS pg_catalog.int8 MINVALUE -9223372036854775808 MAXVALUE 9223372036854775807 START 0 NO CYCLE"
	if !r.sequence {
		definition = " (" + r.columns + ")"
	}
	unlogged := ""
	if r.unlogged {
		unlogged = "UNLOGGED "
	}
	return fmt.Sprintf("CREATE %s%s IF NOT EXISTS tenancy.%s%s", unlogged, r.kind(), r.name, definition)
}
