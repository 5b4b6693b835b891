package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/isolation/envelope/sqlstore"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/tenant"
	"github.com/tenancy-go/tenancy/tenant/tenanttest"
)

var ssn = envelope.Column{Table: "patients", Name: "ssn"}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	_, err := sqlstore.New(nil, sqlstore.Postgres)
	require.Error(t, err)
	_, err = sqlstore.New(&sql.DB{}, 0)
	require.Error(t, err)
}

func TestAnUnmigratedStoreIsNoAnswer(t *testing.T) {
	t.Parallel()
	store, err := sqlstore.New(open(t, "sqlite", ":memory:"), sqlstore.SQLite)
	require.NoError(t, err)
	k := newKeys(t, keyring(t, "a"), store)
	_, err = k.Seal(tenanttest.Context(t, "acme"), ssn, []byte("text"))
	require.ErrorIs(t, err, envelope.ErrUnavailable)
}

// Two processes that make a tenant's first key at once agree on one.
func TestProcessesAgree(t *testing.T) {
	t.Parallel()
	for name, newStore := range map[string]func(testing.TB) (*sqlstore.Store, *sql.DB){"postgres": newPostgres, "sqlite": newSQLite} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, _ := newStore(t)
			processes := make([]*envelope.Keys, 6)
			for i := range processes {
				processes[i] = newKeys(t, keyring(t, "a"), store)
			}
			type made struct {
				tenant tenant.ID
				sealed envelope.Sealed
				err    error
			}
			results := make(chan made)
			for i := range 36 {
				go func() {
					id := tenant.ID(fmt.Sprintf("t-%d", i%3))
					sealed, err := processes[i%6].Seal(tenanttest.Context(t, id), ssn, []byte(id))
					results <- made{id, sealed, err}
				}()
			}
			for i := range 36 {
				m := <-results
				require.NoError(t, m.err)
				got, err := processes[(i+1)%6].Open(tenanttest.Context(t, m.tenant), ssn, m.sealed)
				require.NoError(t, err)
				require.Equal(t, string(m.tenant), string(got))
			}
		})
	}
}

// A restored store has the keys and no tombstone. A journal on another database has, and
// brings the end again.
func TestRestoredStore(t *testing.T) {
	t.Parallel()
	for name, newStore := range map[string]func(testing.TB) (*sqlstore.Store, *sql.DB){"postgres": newPostgres, "sqlite": newSQLite} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, db := newStore(t)
			journal, _ := newSQLite(t)
			k := newKeys(t, keyring(t, "a"), store, envelope.WithJournal(journal))
			acme, globex := tenanttest.Context(t, "acme"), tenanttest.Context(t, "globex")
			system := tenant.System(t.Context(), "test")
			sealed, err := k.Seal(acme, ssn, []byte("secret"))
			require.NoError(t, err)
			theirs, err := k.Seal(globex, ssn, []byte("theirs"))
			require.NoError(t, err)

			exec := func(query string) {
				_, err := db.ExecContext(t.Context(), query)
				require.NoError(t, err)
			}
			exec(`CREATE TABLE backup AS SELECT * FROM tenancy_envelope_keys`)
			_, err = k.Shred(system, "acme")
			require.NoError(t, err)
			restore := func() {
				exec(`DELETE FROM tenancy_envelope_keys`)
				exec(`UPDATE tenancy_envelope_tenants SET shredded_at = NULL, reason = ''`)
				exec(`INSERT INTO tenancy_envelope_keys SELECT * FROM backup`)
			}
			restore()
			open := func(opts ...envelope.Option) error {
				_, err := newKeys(t, keyring(t, "a"), store, opts...).Open(acme, ssn, sealed)
				return err
			}
			require.NoError(t, open(), "without the journal the restored keys open")
			require.ErrorIs(t, open(envelope.WithJournal(journal)), envelope.ErrShredded)
			n, err := k.Reapply(system)
			require.NoError(t, err)
			assert.Equal(t, 1, n)
			require.ErrorIs(t, open(), envelope.ErrShredded)

			// Keys that come back beside the tombstone are refused, and destroyed again.
			exec(`INSERT INTO tenancy_envelope_keys SELECT * FROM backup WHERE tenant_id = 'acme'`)
			require.ErrorIs(t, open(), envelope.ErrShredded)
			_, err = k.Reapply(system)
			require.NoError(t, err)
			var left int
			require.NoError(t, db.QueryRowContext(t.Context(), `SELECT count(*) FROM tenancy_envelope_keys WHERE tenant_id = 'acme'`).Scan(&left))
			assert.Zero(t, left)
			got, err := newKeys(t, keyring(t, "a"), store).Open(globex, ssn, theirs)
			require.NoError(t, err)
			assert.Equal(t, "theirs", string(got))
		})
	}
}

// fixture is a database of two tenants under row-level security, and keys in another.
type fixture struct {
	keys  *envelope.Keys
	clock *tenanttest.Clock
	db    *sqlx.DB // over the pool
	admin *sql.DB
}

func newFixture(t testing.TB) fixture {
	t.Helper()
	data := pgtest.Open(t)
	connector := func(url string) *postgres.Connector {
		c, err := postgres.NewConnector(url)
		require.NoError(t, err)
		return c
	}
	admin := sql.OpenDB(connector(data.URL()))
	t.Cleanup(func() { assert.NoError(t, admin.Close()) })
	role := pgtest.Name(t, "app")
	require.NoError(t, postgres.EnsureRole(t.Context(), admin, role, "correct horse"))
	_, err := admin.ExecContext(t.Context(), `CREATE TABLE patients (tenant_id text NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid(),
		ssn bytea, ssn_index bytea, PRIMARY KEY (tenant_id, id))`)
	require.NoError(t, err)
	strategy, err := row.New(connector(data.As(role, "correct horse")), row.Admin(connector(data.URL())))
	require.NoError(t, err)
	require.NoError(t, strategy.Install(t.Context()))
	pool, err := isolation.New(strategy)
	require.NoError(t, err)
	db := sqlx.NewDb(sql.OpenDB(pool), "postgres")
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	store, _ := newPostgres(t)
	clock := tenanttest.NewClock()
	return fixture{keys: newKeys(t, keyring(t, "a"), store, envelope.WithClock(clock.Now)), clock: clock, db: db, admin: admin}
}

type patient struct {
	ID    string                 `db:"id"`
	SSN   envelope.Field[string] `db:"ssn" envelope:"patients.ssn,row=ID"`
	Index []byte                 `db:"ssn_index"`
}

// Sealed columns in tables under row-level security: written, searched, rotated and
// re-encrypted by two tenants at once, each with its own keys and rows.
func TestWithThePool(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	x, err := f.keys.Index("patients", "ssn")
	require.NoError(t, err)
	insert := func(ctx context.Context, ssn string) {
		p := patient{ID: string(tenant.NewID()), SSN: envelope.NewField(ssn)}
		require.NoError(t, f.keys.SealFields(ctx, &p))
		p.Index, err = x.Token(ctx, ssn)
		require.NoError(t, err)
		_, err = f.db.NamedExecContext(ctx, `INSERT INTO patients (id, ssn, ssn_index) VALUES (:id, :ssn, :ssn_index)`, p)
		require.NoError(t, err)
	}
	acme, globex := tenanttest.Context(t, "acme"), tenanttest.Context(t, "globex")
	for i := range 20 {
		insert(acme, fmt.Sprint("number ", i))
		insert(globex, fmt.Sprint("number ", i))
	}
	for _, ctx := range []context.Context{acme, globex} {
		token, err := x.Token(ctx, "number 7")
		require.NoError(t, err)
		var found []patient
		require.NoError(t, f.db.SelectContext(ctx, &found, `SELECT id, ssn, ssn_index FROM patients WHERE ssn_index = $1`, token))
		require.Len(t, found, 1)
		require.NoError(t, f.keys.OpenFields(ctx, found))
		got, err := found[0].SSN.Get()
		require.NoError(t, err)
		assert.Equal(t, "number 7", got)
	}

	version, err := f.keys.Rotate(acme, envelope.Fields)
	require.NoError(t, err)
	report, err := f.keys.Reencrypt(acme, f.db, envelope.Cells{Column: ssn, Key: "id", Bound: true, Batch: 6}, nil)
	require.NoError(t, err)
	assert.Equal(t, envelope.ReencryptReport{Sealed: 20}, report)
	f.clock.Advance(time.Hour)
	_, err = f.keys.Retire(acme, envelope.Fields, version)
	require.NoError(t, err)
	for _, ctx := range []context.Context{acme, globex} {
		var all []patient
		require.NoError(t, f.db.SelectContext(ctx, &all, `SELECT id, ssn FROM patients`))
		require.Len(t, all, 20)
		require.NoError(t, f.keys.OpenFields(ctx, all))
	}
	// A row that gets to another tenant past row-level security does not open there.
	_, err = f.admin.ExecContext(t.Context(), `UPDATE patients SET tenant_id = 'globex' WHERE tenant_id = 'acme'`)
	require.NoError(t, err)
	var all []patient
	require.NoError(t, f.db.SelectContext(globex, &all, `SELECT id, ssn FROM patients`))
	require.Len(t, all, 40)
	opened := 0
	for i := range all {
		if err := f.keys.OpenFields(globex, &all[i]); err == nil {
			opened++
		} else {
			require.ErrorIs(t, err, envelope.ErrOpen)
		}
	}
	assert.Equal(t, 20, opened)
}

// While the store's server is gone, keys in memory go on until their time is over.
func TestServerDies(t *testing.T) {
	t.Parallel()
	server := pgtest.Private(t)
	db := open(t, "postgres", server.Open(t).URL())
	store := newStore(t, db, sqlstore.Postgres)
	clock := tenanttest.NewClock()
	k := newKeys(t, keyring(t, "a"), store, envelope.WithClock(clock.Now), envelope.WithTTL(time.Minute))
	acme := tenanttest.Context(t, "acme")
	sealed, err := k.Seal(acme, ssn, []byte("secret"))
	require.NoError(t, err)
	server.Kill()
	_, err = k.Open(acme, ssn, sealed)
	require.NoError(t, err)
	clock.Advance(time.Minute)
	_, err = k.Open(acme, ssn, sealed)
	require.ErrorIs(t, err, envelope.ErrUnavailable)
	_, err = k.Shred(tenant.System(t.Context(), "test"), "acme")
	require.ErrorIs(t, err, envelope.ErrUnavailable)
	server.Start()
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		_, err := k.Open(acme, ssn, sealed)
		assert.NoError(c, err)
	}, 30*time.Second, 5*time.Millisecond)
}
