package schema

import (
	"crypto/hmac"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/tenant"
)

// Option changes a setting of [New].
type Option func(*config)

type config struct {
	admin        driver.Connector
	system       driver.Connector
	migrations   fs.FS
	name         func(tenant.ID) string
	login        *login
	revokeConfig bool
	scoped       bool
}

// Admin gives the connector that Prepare, Provision, Migrate, Deprovision and
// Verify use. Its role owns the database and has CREATEROLE, or is a superuser.
func Admin(connector driver.Connector) Option { return func(c *config) { c.admin = connector } }

// System gives the connector of statements under a system context. They are not
// confined: its role's own rights are all that bounds them.
func System(connector driver.Connector) Option { return func(c *config) { c.system = connector } }

// Migrations gives the files that make a home, named 00001_name.sql, each with
// statements after a line "-- +goose Up". They run in the tenant's schema, as its
// owner, with table names unqualified. Their version table is in there too.
func Migrations(files fs.FS) Option { return func(c *config) { c.migrations = files } }

// Name decides how new homes are named: 1 to 63 lower-case letters, digits and
// underscores, a name of its own for each ID. Homes that exist keep their name.
// The default is "t_" and the ID with hyphens written as underscores; from 63
// bytes on, a hash of the whole takes the place of the end.
func Name(name func(tenant.ID) string) Option { return func(c *config) { c.name = name } }

// RevokeSetConfig makes Prepare take EXECUTE on set_config, and USAGE on the
// languages plpgsql and sql, from PUBLIC. Without them, SQL injected into a
// tenant's statement can no longer take on another role. The administrative role
// must be a superuser for it, or a superuser has done so before.
func RevokeSetConfig() Option { return func(c *config) { c.revokeConfig = true } }

// TransactionScoped leaves nothing on the session: the tenant's role and schema
// travel with each statement, and at the beginning of each transaction, in the same
// flight. Then a pooler in transaction mode may stand before the server
// (postgres.BehindPooler). Nothing is prepared at the server, so statements that come
// again cost more than on a session of one's own, and CALL needs a transaction of the
// host's (BeginTx). It does not go together with
// [LoginRoles]. With [RevokeSetConfig], the login role keeps set_config; tenants'
// statements never run as that role.
func TransactionScoped() Option { return func(c *config) { c.scoped = true } }

// LoginRoles makes each tenant's role one that logs in by itself, and gives each
// tenant connections of its own. Nothing that SQL can say then reaches another
// tenant, at the price of connections that tenants cannot share.
//
// A role's password is derived from secret (32 bytes at least) and the role's
// name, and set by Provision; connect returns a connector with these
// credentials. The role needs CONNECT on the database, which PUBLIC has unless it
// was revoked.
func LoginRoles(secret []byte, connect func(role, password string) (driver.Connector, error)) Option {
	return func(c *config) { c.login = &login{secret: append([]byte(nil), secret...), connect: connect} }
}

func (c *config) validate() error {
	if c.name == nil {
		return errors.New("isolation/schema: Name: nil function")
	}
	if c.login != nil && c.scoped {
		return errors.New("isolation/schema: LoginRoles give each tenant sessions of its own, TransactionScoped gives it none: choose one of them")
	}
	if c.login != nil && (len(c.login.secret) < minSecret || c.login.connect == nil) {
		return fmt.Errorf("isolation/schema: LoginRoles: want a secret of %d bytes at least, and a function that connects", minSecret)
	}
	return nil
}

// minSecret is the least length of a secret that passwords are derived from.
const minSecret = 32

// login makes connectors of tenants' own login roles.
type login struct {
	secret  []byte
	connect func(role, password string) (driver.Connector, error)
}

func (l *login) password(role string) string {
	mac := hmac.New(sha256.New, l.secret)
	_, _ = mac.Write([]byte("tenancy/isolation/schema/" + role)) // a hash.Hash never fails
	return hex.EncodeToString(mac.Sum(nil))
}

// ownMemberships finds a tenant's role that is a member of another: it has what
// that role has.
const ownMemberships = `(SELECT 'is a member of ' || pg_catalog.min(m.roleid::pg_catalog.regrole::pg_catalog.text)
	FROM pg_catalog.pg_auth_members m WHERE m.member = r.oid HAVING pg_catalog.count(*) > 0)`

func (l *login) connector(role string) (driver.Connector, error) {
	connector, err := l.connect(role, l.password(role))
	if err != nil {
		return nil, fmt.Errorf("isolation/schema: LoginRoles: %w", err)
	}
	if connector == nil {
		return nil, errors.New("isolation/schema: LoginRoles: nil connector")
	}
	return pghome.Checked(connector, pghome.Check(ownMemberships)), nil
}
