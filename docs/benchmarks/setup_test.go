package benchmarks

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/lib/pq"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/isolation/schema"
	"github.com/tenancy-go/tenancy/tenant"
)

// The data: 1,000 tenants with 1,000 rows each.
var (
	tenants       = flag.Int("tenants", 1000, "tenants in the database benchmarks")
	rowsPerTenant = flag.Int("rows", 1000, "rows of each tenant")
)

// conns bounds the connections of every contender.
const conns = 8

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(pgtest.Run(m))
}

// The tables. Own tables are those of one tenant; the shared one names it.
const (
	sharedTable = `-- +goose Up
CREATE TABLE items (
	tenant_id text NOT NULL,
	id bigint NOT NULL,
	title text NOT NULL,
	amount bigint NOT NULL,
	PRIMARY KEY (tenant_id, id)
);
`
	ownTable = `-- +goose Up
CREATE TABLE items (
	id bigint PRIMARY KEY,
	title text NOT NULL,
	amount bigint NOT NULL
);
INSERT INTO items SELECT i, 'item ' || i, i FROM generate_series(1, %d) i;
`
)

func migrations(text string) fstest.MapFS {
	return fstest.MapFS{"00001_items.sql": &fstest.MapFile{Data: []byte(text)}}
}

// ownItems makes and fills a tenant's own table.
func ownItems() fstest.MapFS { return migrations(fmt.Sprintf(ownTable, *rowsPerTenant)) }

// world is one way to keep the tenants' items.
type world struct {
	name string
	db   *sql.DB
	// id is appended to the arguments where a query must name the tenant itself.
	explicit bool
	// byHand wraps each work in a transaction that sets the tenant first.
	byHand bool
}

func name(i int) tenant.ID { return tenant.ID(fmt.Sprintf("tenant-%04d", i)) }

// contexts are made once: that is the middleware's work, measured elsewhere.
func contexts() []context.Context {
	all := make([]context.Context, *tenants)
	for i := range all {
		all[i] = tenant.NewContext(context.Background(), tenant.Tenant{ID: name(i), Status: tenant.StatusActive})
	}
	return all
}

// plain is lib/pq without Tenancy: one table, no policies, WHERE in each query.
func plain(b *testing.B) world {
	b.Helper()
	pg := pgtest.Open(b)
	connector, err := pq.NewConnector(pg.URL() + "&binary_parameters=yes")
	must(b, err)
	db := limited(b, sql.OpenDB(connector))
	exec(b, db, sharedTable[len("-- +goose Up\n"):])
	fill(b, db)
	return world{name: "plain lib/pq", db: db, explicit: true}
}

func limited(b *testing.B, db *sql.DB) *sql.DB {
	b.Helper()
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	b.Cleanup(func() { _ = db.Close() })
	return db
}

// fill writes the shared table in one statement and settles the server.
func fill(b *testing.B, db *sql.DB) {
	b.Helper()
	exec(b, db, fmt.Sprintf(`INSERT INTO items SELECT 'tenant-' || lpad(t::text, 4, '0'), i, 'item ' || i, i
		FROM generate_series(0, %d) t, generate_series(1, %d) i`, *tenants-1, *rowsPerTenant))
	exec(b, db, `VACUUM ANALYZE items`)
	exec(b, db, `CHECKPOINT`)
}

// role makes the runtime role that tenants' statements run as, and a connector
// that logs in with it.
func role(b *testing.B, pg *pgtest.DB) (runtime, admin *postgres.Connector) {
	b.Helper()
	user := pgtest.Name(b, "app")
	direct, err := sql.Open("postgres", pg.URL())
	must(b, err)
	defer direct.Close()
	must(b, postgres.EnsureRole(b.Context(), direct, user, "secret"))
	runtime, err = postgres.NewConnector(pg.As(user, "secret"))
	must(b, err)
	admin, err = postgres.NewConnector(pg.URL())
	must(b, err)
	return runtime, admin
}

func rowWorld(b *testing.B) world {
	b.Helper()
	runtime, admin := role(b, pgtest.Open(b))
	return world{name: "row", db: pooled(b, rowStrategy(b, runtime, admin))}
}

// rowStrategy fills a shared table under row-level security.
func rowStrategy(b *testing.B, runtime, admin *postgres.Connector, opts ...row.Option) *row.Strategy {
	b.Helper()
	strategy, err := row.New(runtime, append(opts, row.Admin(admin), row.Tables("items"), row.Migrations(migrations(sharedTable)))...)
	must(b, err)
	must(b, strategy.Prepare(b.Context()))
	direct := sql.OpenDB(admin)
	defer direct.Close()
	fill(b, direct)
	return strategy
}

func schemaWorld(b *testing.B) world {
	b.Helper()
	pg := pgtest.Open(b)
	runtime, admin := role(b, pg)
	strategy, err := schema.New(runtime, schema.Admin(admin), schema.Migrations(ownItems()))
	must(b, err)
	provision(b, strategy)
	return warm(b, world{name: "schema", db: pooled(b, strategy)})
}

func databaseWorld(b *testing.B) world {
	b.Helper()
	pg := pgtest.Open(b)
	runtime, admin := role(b, pg)
	strategy, err := database.New(runtime, database.Admin(admin), database.Prefix(pg.Name+"_"),
		database.Migrations(ownItems()))
	must(b, err)
	b.Cleanup(func() { // they are not in the database that pgtest drops
		for i := range *tenants {
			_ = strategy.Deprovision(context.WithoutCancel(b.Context()), tenant.Tenant{ID: name(i)})
		}
	})
	provision(b, strategy)
	return warm(b, world{name: "database", db: pooled(b, strategy)})
}

// warm asks for each tenant once: what a process learns of a tenant only once, such as
// the name of its schema, is not what is measured.
func warm(b *testing.B, w world) world {
	b.Helper()
	for _, ctx := range contexts() {
		must(b, readOne(ctx, w.db, false, "", 0))
	}
	return w
}

// pooled opens a strategy with as many connections as plain lib/pq has.
func pooled(b *testing.B, strategy isolation.Strategy, opts ...isolation.Option) *sql.DB {
	b.Helper()
	pool, err := isolation.New(strategy, append([]isolation.Option{isolation.MaxConns(conns)}, opts...)...)
	must(b, err)
	return limited(b, sql.OpenDB(pool))
}

// provision makes every tenant's home, four at a time.
func provision(b *testing.B, p isolation.Provisioner) {
	b.Helper()
	numbers := make(chan int)
	errs := make(chan error, *tenants)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range numbers {
				errs <- p.Provision(b.Context(), tenant.Tenant{ID: name(i)})
			}
		})
	}
	for i := range *tenants {
		numbers <- i
	}
	close(numbers)
	wg.Wait()
	close(errs)
	for err := range errs {
		must(b, err)
	}
}

func exec(b *testing.B, db *sql.DB, query string) {
	b.Helper()
	_, err := db.ExecContext(b.Context(), query)
	must(b, err)
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
