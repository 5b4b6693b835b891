package row

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// config is what options set.
type config struct {
	admin, system driver.Connector
	tables        []string // schema.table; nil means every table with the column
	column        string
	owner         string
	migrations    fs.FS
	globalKeys    []string // schema.name
	definers      []string // schema.name
	scoped        bool
	harden        bool
	choice        choice
	errs          []error
}

// Option changes a Strategy.
type Option func(*config)

// minTokenLife leaves time to renew a token, whose expiry counts in seconds.
const minTokenLife = 3 * time.Second

// tokenLife is how long a token of Signed holds on a session of its own.
const tokenLife = 10 * time.Minute

func defaults() config {
	return config{column: "tenant_id", owner: "tenancy_owner", choice: choice{life: tokenLife, now: time.Now}}
}

// Plain keeps the tenant in the session's setting tenancy.tenant. It is the
// default, as it needs no key. Any SQL that runs on the session can change it: see
// the package's section on injected SQL.
func Plain() Option { return func(c *config) { c.choose(modePlain) } }

// Sealed keeps the tenant where SQL cannot change it: in registers of the session,
// which the database sets for a token signed with key, once. It is the mode for
// connections straight to the server. Older keys are only installed, for processes
// that still sign with them; see [Strategy.Rotate].
//
// It writes, so it does not work on a read-only replica, or with
// default_transaction_read_only.
func Sealed(key Key, older ...Key) Option {
	return func(c *config) { c.choose(modeSealed, append([]Key{key}, older...)...) }
}

// Signed keeps a token signed with key on the session, which each statement verifies.
// With [TransactionScoped] the token travels with each transaction, for poolers; it
// works on read-only replicas, too. Older keys are as in [Sealed].
func Signed(key Key, older ...Key) Option {
	return func(c *config) { c.choose(modeSigned, append([]Key{key}, older...)...) }
}

// TokenLife is how long a token of [Signed] holds on a session of its own. The pool
// renews it after two thirds of that. The default is ten minutes.
func TokenLife(d time.Duration) Option { return func(c *config) { c.choice.life = d } }

// Clock tells the time for the expiry of tokens, in tests. The default is time.Now.
func Clock(now func() time.Time) Option { return func(c *config) { c.choice.now = now } }

// Harden has Install take from everyone who is not given them by name, and Verify
// look for, what injected SQL may otherwise use: set_config; functions that run text
// as SQL or query other servers; large objects; the texts of other sessions' statements, and
// ending them; and the languages of DO and CREATE FUNCTION. Install needs a
// superuser for it, or somebody has run the SQL that it asks for. What it takes from PUBLIC
// is gone for other roles of the database, too: give them what they need.
func Harden() Option { return func(c *config) { c.harden = true } }

// TransactionScoped leaves nothing on the session: the tenant travels with each
// statement, and at the beginning of each transaction, in the same flight. Then a
// pooler in transaction mode may stand before the server (postgres.BehindPooler).
// Nothing is prepared at the server, so statements that come again cost more than on
// a session of one's own. CALL and DO need a transaction of the host's (BeginTx): what
// they run could end one of its own and go on without the tenant.
func TransactionScoped() Option { return func(c *config) { c.scoped = true } }

// Admin gives the connector that Install and Migrate use. Its role owns the
// tables, or is a superuser, and may create roles.
func Admin(connector driver.Connector) Option {
	return func(c *config) { c.admin = connector }
}

// System gives the connector for statements of a system context. Its role sees
// all tenants' rows, so it has BYPASSRLS, and its password is kept apart from the
// runtime role's. What it inserts has no tenant by default: it names the tenant.
// Without a system connector such statements fail with isolation.ErrNoSystem.
func System(connector driver.Connector) Option {
	return func(c *config) { c.system = connector }
}

// Tables names the tenants' tables, as table (in schema public) or schema.table,
// spelt as in the catalog. By default these are all tables that have the tenant
// column. Partitions and children are reached through the table above them alone.
func Tables(names ...string) Option {
	return func(c *config) { c.tables = c.qualify("Tables", append(c.tables, names...)) }
}

// Column names the column that holds the tenant's ID. The default is tenant_id.
func Column(name string) Option { return func(c *config) { c.column = name } }

// Owner names the role that owns the schema tenancy. Install makes it, without a
// login. Roles are shared by all databases of a server. The default is
// tenancy_owner.
func Owner(role string) Option { return func(c *config) { c.owner = role } }

// Migrations gives the host's own migrations, which Migrate applies before it
// installs the policies. Files are named 00001_name.sql, lie at fsys's root, and
// hold statements after a line "-- +goose Up".
func Migrations(fsys fs.FS) Option { return func(c *config) { c.migrations = fsys } }

// AllowGlobalKeys excepts constraints and unique indexes from the rule that they
// have the tenant column, as name (in schema public) or schema.name. Through such
// a key one tenant can find out that another has a value: except keys whose
// values nobody can guess, such as random UUIDs.
func AllowGlobalKeys(names ...string) Option {
	return func(c *config) { c.globalKeys = c.qualify("AllowGlobalKeys", append(c.globalKeys, names...)) }
}

// AllowDefiner excepts SECURITY DEFINER functions that run as a role which
// bypasses row security, as name (in schema public) or schema.name. Their authors
// keep tenants apart in them by hand.
func AllowDefiner(names ...string) Option {
	return func(c *config) { c.definers = c.qualify("AllowDefiner", append(c.definers, names...)) }
}

// qualify puts schema public before names that have none.
func (c *config) qualify(option string, names []string) []string {
	qualified := make([]string, len(names))
	for i, name := range names {
		schema, object, found := strings.Cut(name, ".")
		if !found {
			schema, object = "public", name
		}
		if schema == "" || object == "" || strings.ContainsAny(object, ".\x00") {
			c.errs = append(c.errs, fmt.Errorf("isolation/row: %s: %q is neither name nor schema.name", option, name))
		}
		qualified[i] = schema + "." + object
	}
	return qualified
}

// check returns what is wrong with c.
func (c *config) check() error {
	if err := errors.Join(c.errs...); err != nil {
		return err
	}
	if c.choice.now == nil || c.choice.life < minTokenLife {
		return fmt.Errorf("isolation/row: nil clock, or a token life of %s: want %s or more", c.choice.life, minTokenLife)
	}
	if c.column == "" || c.owner == "" || strings.ContainsRune(c.column+c.owner, 0) {
		return fmt.Errorf("isolation/row: bad name of column %q or owner %q", c.column, c.owner)
	}
	return nil
}
