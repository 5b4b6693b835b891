package fleet_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/fleet"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/schema"
)

// sizeEnv sets the number of schemas of TestFleetAtSize; the figures of
// docs/design.md are for 2000.
const sizeEnv = "TENANCY_FLEET_SIZE"

// full is the size at which a run that has nothing to do is bound in time.
const full = 2000

// distance is the time that a round trip from the runner to the servers takes longer in
// TestFleetAtSize, as if they were in another zone. Even so, runner and server share the
// cores of one machine, and where these are busy the figure is that of the cores; a
// migration that waits shows what the workers do.
const distance = 2 * time.Millisecond

// hold is how long each of the last two migrations of TestFleetAtSize waits, as for a
// lock that the tenant holds, or for a disk.
const hold = time.Second

// held is in how many homes they are run.
const held = 24

// tenTables makes ten tables, and then n migrations of one column and one index each,
// the last two of which wait.
func tenTables(n int) fstest.MapFS {
	var create strings.Builder
	for i := range 10 {
		fmt.Fprintf(&create, "CREATE TABLE table_%d (id bigint PRIMARY KEY, name text NOT NULL, at timestamptz);\n", i)
	}
	fsys := fstest.MapFS{"00001_tables.sql": file(create.String())}
	for i := range n {
		wait := ""
		if i >= n-2 {
			wait = fmt.Sprintf("SELECT pg_sleep(%f);\n", hold.Seconds())
		}
		fsys[fmt.Sprintf("%05d_step.sql", i+2)] = file(wait + fmt.Sprintf(
			"ALTER TABLE table_%d ADD COLUMN extra text NOT NULL DEFAULT '';\nCREATE INDEX ON table_%d (name);\n", i, i))
	}
	return fsys
}

func TestFleetAtSize(t *testing.T) {
	t.Parallel()
	size := 8
	if text := os.Getenv(sizeEnv); text != "" {
		var err error
		size, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	w := newWorld(t)
	ts := tenants(size)
	w.provisionAtOnce(t, tenTables(0), size)

	far, err := postgres.NewConnector(w.URL(), postgres.Dial(delayed))
	require.NoError(t, err)
	counter, ledger := w.counted(t, postgres.Dial(delayed))
	s, err := schema.New(w.app, schema.Admin(far))
	require.NoError(t, err)
	migrations := load(t, tenTables(4))
	timed := func(ts []tenantT, opts ...fleet.Option) (fleet.Report, time.Duration) {
		start := time.Now()
		report, err := fleetOf(t, s, ledger, migrations, append(opts, fleet.Waves())...).Run(t.Context(), fleet.These(ts...))
		require.NoError(t, err)
		return report, time.Since(start)
	}

	one, serial := timed(ts, fleet.Workers(1), fleet.Target(2))
	eight, parallel := timed(ts, fleet.Workers(8), fleet.Target(3))
	assert.Equal(t, size, one.Migrated)
	assert.Equal(t, size, eight.Migrated)
	before := counter.statements.Load()
	none, noop := timed(ts, fleet.Workers(8), fleet.Target(3))
	asked := counter.statements.Load() - before
	assert.Equal(t, size, none.Current)
	assert.Equal(t, int64(1), asked, "statements in the control database")

	ratio := serial.Seconds() / parallel.Seconds()
	t.Logf("%d schemas: 1 worker %.1f s, 8 workers %.1f s (%.1fx), nothing to do %.2f s", size, serial.Seconds(), parallel.Seconds(), ratio, noop.Seconds())

	if size < held {
		return
	}
	few := ts[:held]
	_, serial = timed(few, fleet.Workers(1), fleet.Target(4))
	_, parallel = timed(few, fleet.Workers(8), fleet.Target(5))
	ratio = serial.Seconds() / parallel.Seconds()
	t.Logf("%d schemas, %s of waiting in each: 1 worker %.1f s, 8 workers %.1f s (%.1fx)", len(few), hold, serial.Seconds(), parallel.Seconds(), ratio)
	assert.Greater(t, ratio, 4.0)
	if size >= full {
		assert.Less(t, noop, 2*time.Second)
	}
}

// provisionAtOnce makes the homes of tenants(n), as package schema does, in the server
// itself: by Provision, 2,000 of them take longer than all the rest.
func (w *world) provisionAtOnce(t *testing.T, files fs.FS, n int) {
	t.Helper()
	model := w.schemas(t, files)
	require.NoError(t, model.Prepare(t.Context()))
	create, err := fs.ReadFile(files, "00001_tables.sql")
	require.NoError(t, err)
	_, tables, _ := strings.Cut(string(create), "\n")
	_, err = w.root.ExecContext(t.Context(), fmt.Sprintf(`DO $do$
		DECLARE home text; owned text; role text;
		BEGIN
			FOR i IN 0..%d LOOP
				home := 't_t' || CASE WHEN i < 1000 THEN pg_catalog.lpad(i::text, 3, '0') ELSE i::text END;
				role := home || '_' || (SELECT oid FROM pg_database WHERE datname = current_database());
				owned := role || '_owner';
				EXECUTE format('CREATE ROLE %%I NOLOGIN; CREATE ROLE %%I NOLOGIN NOINHERIT; CREATE SCHEMA %%I AUTHORIZATION %%I', owned, role, home, owned);
				EXECUTE format('GRANT USAGE ON SCHEMA %%I TO %%I; ALTER DEFAULT PRIVILEGES FOR ROLE %%I IN SCHEMA %%I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %%I',
					home, role, owned, home, role);
				INSERT INTO tenancy.homes (tenant_id, schema_name, role_name, owner_name, ready_at) VALUES (pg_catalog.substr(home, 3), home, role, owned, now());
				EXECUTE format('SET LOCAL ROLE %%I; SET LOCAL search_path TO %%I', owned, home);
				%s
				CREATE TABLE tenancy_version (id integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, version_id bigint NOT NULL,
					is_applied boolean NOT NULL, tstamp timestamp NOT NULL DEFAULT now());
				INSERT INTO tenancy_version (version_id, is_applied) VALUES (0, true), (1, true);
				COMMIT;
			END LOOP;
		END $do$`, n-1, tables))
	require.NoError(t, err)
}

// delayed dials connections whose answers take longer by distance.
func delayed(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &farConn{Conn: conn}, nil
}

// farConn lets the first read after a write wait, once for each round trip.
type farConn struct {
	net.Conn
	asked atomic.Bool
}

func (c *farConn) Write(b []byte) (int, error) {
	c.asked.Store(true)
	return c.Conn.Write(b)
}

func (c *farConn) Read(b []byte) (int, error) {
	if c.asked.Swap(false) {
		<-time.After(distance)
	}
	return c.Conn.Read(b)
}

// counted returns a ledger in w's control database, with a counter of its statements.
func (w *world) counted(t testing.TB, opts ...postgres.Option) (*counting, *fleet.Ledger) {
	t.Helper()
	control, err := postgres.NewConnector(w.controlURL, opts...)
	require.NoError(t, err)
	counter := &counting{Connector: control}
	db := sql.OpenDB(counter)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return counter, ledgerOn(t, db, fleet.OnPostgres)
}

// counting is a connector that counts the statements of its connections.
type counting struct {
	driver.Connector
	statements atomic.Int64
}

func (c *counting) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	inner, ok := conn.(*postgres.Conn)
	if !ok {
		return nil, fmt.Errorf("%T", conn)
	}
	return &countingConn{Conn: inner, counter: c}, nil
}

type countingConn struct {
	*postgres.Conn
	counter *counting
}

func (c *countingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.counter.statements.Add(1)
	return c.Conn.ExecContext(ctx, query, args)
}

func (c *countingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.counter.statements.Add(1)
	return c.Conn.QueryContext(ctx, query, args)
}

func (c *countingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.counter.statements.Add(1)
	return c.Conn.PrepareContext(ctx, query)
}
