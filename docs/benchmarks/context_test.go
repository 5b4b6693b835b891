package benchmarks

import (
	"context"
	"database/sql"
	"testing"

	"github.com/lib/pq"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/isolation/schema"
)

// BenchmarkContext compares plain lib/pq with the modes in which row isolation tells
// the database who the tenant is.
func BenchmarkContext(b *testing.B) {
	scoped := rowMode(b, "transaction-scoped", row.TransactionScoped())
	unprepared := rowMode(b, "sealed, unprepared", row.Sealed(signingKey(b)))
	unprepared.db = pooled(b, unprepared.strategy, isolation.PreparedStatements(0))
	worlds := []world{
		plain(b),
		rowMode(b, "plain").world,
		rowMode(b, "sealed", row.Sealed(signingKey(b))).world,
		rowMode(b, "signed", row.Signed(signingKey(b))).world,
		unprepared.world,
		scoped.world,
	}
	all := contexts()
	for b.Loop() {
		t := one(b, worlds, all)
		t.title = "Row isolation by mode, one goroutine"
		t.print(b)
	}
}

// BenchmarkPooler compares what can be done behind PgBouncer in transaction mode:
// naming the tenant in each query, transactions by hand, and entries that travel with
// each statement.
func BenchmarkPooler(b *testing.B) {
	worlds := []world{
		pooledPlain(b),
		byHand(b),
		pooledRow(b, "row, plain"),
		pooledRow(b, "row, signed", row.Signed(signingKey(b))),
		pooledSchema(b),
	}
	all := contexts()
	for b.Loop() {
		t := one(b, worlds, all)
		t.title = "Behind PgBouncer in transaction mode, one goroutine"
		t.print(b)
	}
}

func signingKey(b *testing.B) row.Key {
	b.Helper()
	key, err := row.NewKey("k1", []byte("a secret of thirty-two bytes, or more"))
	must(b, err)
	return key
}

// mode is a world with its strategy, for another pool over it.
type mode struct {
	world
	strategy *row.Strategy
}

func rowMode(b *testing.B, name string, opts ...row.Option) mode {
	b.Helper()
	runtime, admin := role(b, pgtest.Open(b))
	strategy := rowStrategy(b, runtime, admin, opts...)
	return mode{world{name: name, db: pooled(b, strategy)}, strategy}
}

// behind starts a PgBouncer with a connection for each of the contender's.
func behind(b *testing.B, pg *pgtest.DB) (url string, admin *postgres.Connector) {
	b.Helper()
	runtime, admin := role(b, pg)
	return pg.Bouncer(b, "transaction", conns, runtime.User(), "secret").URL(), admin
}

func pooledPlain(b *testing.B) world {
	b.Helper()
	pg := pgtest.Open(b)
	url, admin := behind(b, pg)
	owner := sql.OpenDB(admin)
	defer owner.Close()
	exec(b, owner, sharedTable[len("-- +goose Up\n"):])
	exec(b, owner, `GRANT SELECT, INSERT, UPDATE ON items TO PUBLIC`)
	fill(b, owner)
	connector, err := pq.NewConnector(url + "&binary_parameters=yes")
	must(b, err)
	return world{name: "plain lib/pq", db: limited(b, sql.OpenDB(connector)), explicit: true}
}

func pooledRow(b *testing.B, name string, opts ...row.Option) world {
	b.Helper()
	url, admin := behind(b, pgtest.Open(b))
	connector, err := postgres.NewConnector(url, postgres.BehindPooler(), postgres.CloseToCancel())
	must(b, err)
	strategy := rowStrategy(b, connector, admin, append(opts, row.TransactionScoped())...)
	return world{name: name, db: pooled(b, strategy)}
}

func pooledSchema(b *testing.B) world {
	b.Helper()
	url, admin := behind(b, pgtest.Open(b))
	connector, err := postgres.NewConnector(url, postgres.BehindPooler(), postgres.CloseToCancel())
	must(b, err)
	strategy, err := schema.New(connector, schema.Admin(admin), schema.TransactionScoped(), schema.Migrations(ownItems()))
	must(b, err)
	provision(b, strategy)
	return warm(b, world{name: "schema", db: pooled(b, strategy)})
}

// byHand is what hosts do without Tenancy: BEGIN, set_config, the statement, COMMIT.
func byHand(b *testing.B) world {
	b.Helper()
	url, admin := behind(b, pgtest.Open(b))
	direct, err := postgres.NewConnector(url, postgres.BehindPooler())
	must(b, err)
	rowStrategy(b, direct, admin, row.TransactionScoped())
	connector, err := pq.NewConnector(url + "&binary_parameters=yes")
	must(b, err)
	return world{name: "BEGIN and set_config by hand", db: limited(b, sql.OpenDB(connector)), byHand: true}
}

// inTx runs do in a transaction that a host made the tenant's by hand.
func inTx(ctx context.Context, db *sql.DB, id string, do func(h handle) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	if _, err := tx.ExecContext(ctx, `SELECT set_config('tenancy.tenant', $1, true)`, id); err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}
