package database

import (
	"database/sql/driver"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/tenancy-go/tenancy/isolation/postgres"
)

// Option changes a setting of [New].
type Option func(*config)

type config struct {
	admin      *postgres.Connector
	system     driver.Connector
	migrations fs.FS
	prefix     string
}

// Admin gives the connector that Provision, Migrate, Deprovision and Verify use.
// Its database is the maintenance database, such as postgres, in which processes
// take turns: it must be the same for all of them. Its role has CREATEDB, and
// either pg_signal_backend and the login role's membership or is a superuser, so
// that it may end a tenant's sessions.
func Admin(connector *postgres.Connector) Option { return func(c *config) { c.admin = connector } }

// System gives the connector of statements under a system context. They run in
// its database, not in the tenants'.
func System(connector driver.Connector) Option { return func(c *config) { c.system = connector } }

// Migrations gives the files that make a home, named 00001_name.sql, each with
// statements after a line "-- +goose Up". They run in the tenant's database as
// the administrative role. Their version table is public.tenancy_version.
func Migrations(files fs.FS) Option { return func(c *config) { c.migrations = files } }

// Prefix begins the names of all databases of the strategy: lower-case letters,
// digits and single underscores, an underscore last, 20 bytes at most. The
// default is "tenant_". Two strategies on one server need different ones.
func Prefix(prefix string) Option { return func(c *config) { c.prefix = prefix } }

// maxPrefix keeps the prefix, and what follows it, whole in a shortened name.
const maxPrefix = 20

var validPrefix = regexp.MustCompile(`^[a-z][a-z0-9_]*_$`)

func (c *config) validate() error {
	if !validPrefix.MatchString(c.prefix) || len(c.prefix) > maxPrefix ||
		strings.Contains(c.prefix, "__") || strings.HasPrefix(c.prefix, "pg_") {
		return fmt.Errorf("isolation/database: prefix %q: want lower-case letters, digits and single underscores, "+
			"an underscore last, %d bytes at most, not pg_", c.prefix, maxPrefix)
	}
	return nil
}
