package leaktest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// Application is a host's application, as the kit must know it.
type Application struct {
	// Handler is the whole program, with all of its middleware.
	Handler http.Handler
	// Tenants are those who look at each other. They exist, are active, and are
	// there for the kit alone: it writes as each of them.
	Tenants []Tenant
	// Login establishes a session, once for each tenant. The cookies that it sets and
	// the secret variables it extracts are the tenant's credentials.
	Login []Step
	// Scenarios are what the users of each tenant do.
	Scenarios []Scenario
	// Variables says what is special about some variables.
	Variables map[string]Variable
	// Volatile are parts of answers that differ each time for no reason that matters. The
	// kit finds most of them by itself.
	Volatile []*regexp.Regexp
	// Routes are the routes that have to be exercised, as patterns of
	// [http.ServeMux], below [Address.Base]. A route that no tenant reached is a
	// problem.
	Routes []string

	// DB is opened over an isolation.Pool. The kit reads every table that a tenant
	// sees through it. Nil means that rows are not checked.
	DB *sql.DB
	// Rows are planted for each tenant through DB, before the scenarios.
	Rows []Row
	// Plant lets the host plant what neither requests nor rows can. canary returns a
	// new marker each time; the values it returns become the tenant's variables.
	Plant func(ctx context.Context, t Tenant, canary func() string) (map[string]string, error)
	// VolatileTables change by themselves, so a change of theirs is no finding.
	VolatileTables []string

	// Logs is where the program logs to, by [Logs.Handler] or as an io.Writer.
	Logs *Logs
	// Jobs are the work beside requests: queues, timers, exports, webhooks.
	Jobs []Job
	// Stores are what else can be listed: caches, files, messages sent.
	Stores []Store

	// Workers is how many clients each tenant has in the storm of requests at once, and
	// Rounds how many times each of them runs each scenario. They are 4 and 5 unless
	// set.
	Workers, Rounds int
	// Timeout bounds one request or job; 30 seconds unless set.
	Timeout time.Duration
}

// Tenant is a tenant of the application, and how its users reach it.
type Tenant struct {
	tenant.Tenant
	// Address is where its users send their requests.
	Address
	// Also are further addresses of the tenant. Requests of others try them.
	Also []Address
	// Credentials are headers that authenticate its users, as templates, where no
	// login is needed. They are never lent to another tenant.
	Credentials http.Header
	// Vars are values for the templates: a user's name, a password, an API key.
	Vars map[string]string
}

// Address is what of a request names the tenant.
type Address struct {
	Host   string      // "acme.example.com"; "example.com" unless set
	Base   string      // what every path begins with: "/t/acme"
	Header http.Header // further headers, such as X-Tenant
}

// Variable says what is special about a variable of the templates. The zero value
// suits IDs, names and links.
type Variable struct {
	// Secret marks a credential. Only its own tenant uses it.
	Secret bool
	// Public marks what anybody may use who has it, such as a link to share. It is not
	// tried as another tenant.
	Public bool
	// Opaque marks what a program may tell from a value that it never issued, such as
	// a signed token. It is tried, but not compared with an unknown one.
	Opaque bool
	// Unknown returns a value of the same form that nobody has. Nil lets the kit make
	// one from a value that somebody has.
	Unknown func(known string) string
}

// Row is a row to plant. The variables of the templates are those of the tenant.
type Row struct {
	Table  string            // as SQL has it after INSERT INTO
	Values map[string]any    // by column; strings are templates
	Return map[string]string // variables to set, each to a column of the row
}

// Job is work beside requests.
type Job struct {
	Name string
	// System tells that the job runs once, in a system context, for all tenants. Else
	// it runs for each tenant, in its context.
	System bool
	// Run does the work and returns what it put out, if that is not found in rows or stores.
	Run func(ctx context.Context) ([]Output, error)
}

// Output is something that a job made.
type Output struct {
	Name string
	For  tenant.ID // whom it is for; "" is the tenant that the job ran for
	Data []byte
}

// Store is something besides the database that keeps what tenants have.
type Store struct {
	Name string
	// List returns all that t may read. ctx is t's.
	List func(ctx context.Context, t tenant.Tenant) ([]Entry, error)
}

// Entry is an entry of a store.
type Entry struct {
	Name string
	Data []byte
}

func (app Application) withDefaults() Application {
	if app.Workers == 0 {
		app.Workers = 4
	}
	if app.Rounds == 0 {
		app.Rounds = 5
	}
	if app.Timeout == 0 {
		app.Timeout = 30 * time.Second
	}
	app.Tenants = slices.Clone(app.Tenants)
	for i := range app.Tenants {
		if app.Tenants[i].Host == "" {
			app.Tenants[i].Host = "example.com"
		}
	}
	return app
}

func (app Application) validate() error {
	var errs []error
	complain := func(format string, args ...any) { errs = append(errs, fmt.Errorf("leaktest: "+format, args...)) }
	if app.Handler == nil {
		complain("no Handler")
	}
	if len(app.Tenants) < 2 {
		complain("want at least two tenants, got %d", len(app.Tenants))
	}
	seen := make(map[tenant.ID]bool)
	for _, t := range app.Tenants {
		if err := t.ID.Validate(); err != nil {
			complain("tenant %q: %w", t.ID, err)
		}
		if seen[t.ID] {
			complain("tenant %q is given twice", t.ID)
		}
		seen[t.ID] = true
	}
	if len(app.Scenarios) == 0 {
		complain("no Scenarios")
	}
	if app.DB == nil && len(app.Rows) > 0 {
		complain("Rows without DB")
	}
	if app.Workers < 1 || app.Rounds < 1 {
		complain("Workers and Rounds have to be positive")
	}
	for _, s := range app.Scenarios {
		if err := s.validate(); err != nil {
			complain("scenario %q: %w", s.Name, err)
		}
	}
	for _, step := range app.Login {
		if err := step.validate(); err != nil {
			complain("login: %w", err)
		}
	}
	for _, job := range app.Jobs {
		if job.Run == nil {
			complain("job %q has no Run", job.Name)
		}
	}
	for _, s := range app.Stores {
		if s.List == nil {
			complain("store %q has no List", s.Name)
		}
	}
	return errors.Join(errs...)
}

// artefact reports whether a variable is one that another tenant may try.
func (app Application) artefact(name string) bool {
	v := app.Variables[name]
	return !v.Secret && !v.Public && name != canaryVar
}

// addresses returns all addresses of a tenant.
func (t Tenant) addresses() []Address { return append([]Address{t.Address}, t.Also...) }

// names returns what may name the tenant in a request.
func (t Tenant) names() []string {
	names := []string{t.ID.String()}
	if t.Slug != "" && t.Slug != t.ID.String() {
		names = append(names, t.Slug)
	}
	return names
}

// same reports whether two addresses are one.
func (a Address) same(b Address) bool {
	return a.Host == b.Host && a.Base == b.Base && maps.EqualFunc(a.Header, b.Header, slices.Equal)
}
