package inspect

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Target is the strategy to inspect, and the roles that tenants' statements run as.
type Target struct {
	kind   kind
	roles  []string
	prefix string
}

// kind is a set of strategies.
type kind uint8

const (
	rows kind = 1 << iota
	schemas
	databases
)

func (k kind) String() string {
	switch k {
	case rows:
		return "row"
	case schemas:
		return "schema"
	case databases:
		return "database"
	default:
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
}

// Rows inspects tables that tenants share. roles are the runtime roles.
func Rows(roles ...string) Target { return Target{kind: rows, roles: roles} }

// Schemas inspects schemas of tenants in one database. roles are the login roles
// that take on tenants' roles. The homes are those of the registry
// tenancy.homes, or of [Homes].
func Schemas(roles ...string) Target { return Target{kind: schemas, roles: roles} }

// Databases inspects databases of tenants on one server, from any database of it.
// roles are the login roles that connect to them. The homes are the databases
// whose name begins with prefix and whose comment marks them as isolation/database
// does, or those of [Homes]. What leads out of a database, such as dblink, is looked
// for in the one that db is connected to: inspect tenants' databases one by one.
func Databases(prefix string, roles ...string) Target {
	return Target{kind: databases, roles: roles, prefix: prefix}
}

// Option changes what Run looks at.
type Option func(*config)

type config struct {
	column       string
	tables       []string // schema.table; nil means every table with the column
	homes        []Home
	suppressions []Suppression
	injection    bool
	errs         []error
}

// Column names the column that holds the tenant's ID. The default is tenant_id.
func Column(name string) Option { return func(c *config) { c.column = name } }

// Tables names the tenants' tables, as table (in schema public) or schema.table,
// spelt as in the catalog. By default these are all tables with the tenant column.
func Tables(names ...string) Option {
	return func(c *config) {
		for _, name := range names {
			schema, table, found := strings.Cut(name, ".")
			if !found {
				schema, table = "public", name
			}
			if schema == "" || table == "" || strings.ContainsAny(table, ".\x00") {
				c.errs = append(c.errs, fmt.Errorf("isolation/inspect: Tables: %q is neither table nor schema.table", name))
			}
			c.tables = append(c.tables, schema+"."+table)
		}
	}
}

// Home is a tenant's schema or database that no registry names.
type Home struct {
	Name  string `json:"name"`  // of the schema or the database
	Role  string `json:"role"`  // which the tenant's statements run as
	Owner string `json:"owner"` // of the schema and of what is in it; unused for databases
}

// Homes names the tenants' schemas or databases, for hosts that do not use
// isolation/schema or isolation/database.
func Homes(homes ...Home) Option { return func(c *config) { c.homes = append(c.homes, homes...) } }

// Injection also looks for what only someone who puts SQL of their own into a
// statement can use.
func Injection() Option { return func(c *config) { c.injection = true } }

// Suppression accepts a finding, with the reason. Its JSON form is for a file that
// a host keeps beside its migrations.
type Suppression struct {
	Lint   string `json:"lint"`
	Object string `json:"object"` // as in the finding, or * for any
	Reason string `json:"reason"`
}

// Suppress takes findings out of the count. The report lists them with their
// reasons, and those suppressions that nothing needed.
func Suppress(list ...Suppression) Option {
	return func(c *config) {
		for _, s := range list {
			if !slices.ContainsFunc(Lints(), func(l Lint) bool { return l.ID == s.Lint }) {
				c.errs = append(c.errs, fmt.Errorf("isolation/inspect: Suppress: there is no lint %q", s.Lint))
			}
			if s.Object == "" || strings.TrimSpace(s.Reason) == "" {
				c.errs = append(c.errs, fmt.Errorf("isolation/inspect: Suppress: lint %q: want an object (* for any) and a reason", s.Lint))
			}
		}
		c.suppressions = append(c.suppressions, list...)
	}
}

// configure applies opts, and returns what is wrong with them.
func configure(target Target, opts []Option) (*config, error) {
	c := &config{column: "tenant_id"}
	for _, opt := range opts {
		opt(c)
	}
	return c, c.check(target)
}

func (c *config) check(target Target) error {
	errs := c.errs
	if target.kind == 0 {
		errs = append(errs, errors.New("isolation/inspect: no target: use Rows, Schemas or Databases"))
	}
	if len(target.roles) == 0 || slices.Contains(target.roles, "") {
		errs = append(errs, errors.New("isolation/inspect: name the roles that tenants' statements run as"))
	}
	if c.column == "" {
		errs = append(errs, errors.New("isolation/inspect: Column: empty name"))
	}
	if target.kind == databases && target.prefix == "" && len(c.homes) == 0 {
		errs = append(errs, errors.New("isolation/inspect: Databases: want a prefix, or Homes"))
	}
	if target.kind == rows && len(c.homes) > 0 {
		errs = append(errs, errors.New("isolation/inspect: Homes is for Schemas and Databases"))
	}
	if target.kind != rows && len(c.tables) > 0 {
		errs = append(errs, errors.New("isolation/inspect: Tables is for Rows"))
	}
	return errors.Join(errs...)
}
