package isolationtest_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pgsession"
	"github.com/tenancy-go/tenancy/isolation/isolationtest"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/tenant"
)

type opener = func(opts ...isolation.Option) (isolationtest.Target, error)

// TestCheckCatches hands the suite strategies with one mistake each. Every clause
// named has to find it, and at least one of them has to see a leak, unless the
// mistake leaks nothing.
func TestCheckCatches(t *testing.T) {
	tests := []struct {
		name    string
		open    func(t *testing.T) opener
		clauses []string
		noLeak  bool
	}{
		{name: "forgets to confine on reuse", open: forgetful, clauses: []string{
			"reads see the tenant's rows and no others",
			"update and delete without WHERE stay inside the tenant",
			"a prepared statement serves each tenant its own rows",
			"a sql.Conn serves each statement its own tenant",
			"tenants that alternate on one connection stay apart",
			"many tenants stay apart in a storm of everything at once",
		}},
		{name: "confines only the first time", open: firstTimeOnly, clauses: []string{
			"reads see the tenant's rows and no others",
			"tenants that alternate on one connection stay apart",
			"a pool smaller than the number of tenants serves them all",
			"many tenants stay apart in a storm of everything at once",
		}},
		{name: "believes a switch that was rolled back", open: believing, clauses: []string{
			"a statement that fails right after a switch does not undo it",
			"a transaction that fails right after a switch does not undo it",
			"a transaction rolled back right after a switch does not undo it",
			"many tenants stay apart in a storm of everything at once",
		}},
		{name: "ignores row-level security", open: superuser, clauses: []string{
			"reads see the tenant's rows and no others",
			"writes reach the tenant's rows and no others",
			"update and delete without WHERE stay inside the tenant",
			"joins stay inside the tenant",
			"views stay inside the tenant",
			"a row cannot be inserted for another tenant",
			"a row cannot be moved to another tenant",
		}},
		{name: "relies on search_path without a role", open: searchPathOnly, clauses: []string{
			"another tenant's tables cannot be named",
		}},
		{name: "leaves the session as it was", open: untidy, clauses: []string{
			"temporary tables do not reach the next tenant",
			"a temporary table does not stand in for the next tenant's table",
			"session settings do not reach the next tenant",
			"advisory locks do not outlive the tenant's turn",
			"sequence values do not reach the next tenant",
			"many tenants stay apart in a storm of everything at once",
		}},
		{name: "errs one time in fifty", open: erring, clauses: []string{
			"tenants that alternate on one connection stay apart", // the storm may miss it when it is short
		}},
		{name: "lets anything be written", open: openWrites, clauses: []string{
			"a row cannot be inserted for another tenant",
			"a row cannot be moved to another tenant",
		}, noLeak: true},
		{name: "lets views run as their owner", open: ownersViews, clauses: []string{
			"views stay inside the tenant",
		}},
		{name: "has a key without the tenant", open: globalKey, clauses: []string{
			"tenants may use the same keys",
		}, noLeak: true},
		{name: "has a reference without the tenant", open: globalReference, clauses: []string{
			"errors say the same whether or not another tenant has the key",
		}, noLeak: true},
		{name: "keeps the data of who leaves", open: hoarding, clauses: []string{
			"deprovisioning removes the tenant's data and no others'",
		}},
		{name: "takes any text for an ID", open: trusting, clauses: []string{
			"a malformed tenant ID is no tenant",
		}, noLeak: true},
		{name: "lets the system in as a tenant", open: sharedSystem, clauses: []string{
			"a system context sees all tenants' rows in shared tables",
		}, noLeak: true},
		{name: "opens one file for all", open: oneFile, clauses: []string{
			"reads see the tenant's rows and no others",
			"tenants may use the same keys",
			"row IDs and counts of changes do not reach the next tenant",
		}, noLeak: true},
		{name: "sets no limits", open: limitless, clauses: []string{
			"a tenant's limits are on its session and not on the next tenant's",
			"a statement that fails right after a switch does not undo the limits",
			"limits that change hold from the next statement on",
			"a statement that takes longer than its tenant may is ended, and no other tenant's",
			"a lock is waited for as long as the tenant may",
			"a transaction that idles longer than its tenant may is ended",
			"limits of many tenants stay apart",
		}},
		{name: "leaves limits to the next tenant", open: leavingLimits, clauses: []string{
			"a tenant's limits are on its session and not on the next tenant's",
			"a statement that takes longer than its tenant may is ended, and no other tenant's",
			"limits of many tenants stay apart",
		}},
		{name: "limits each tenant on a connection once", open: limitsOnce, clauses: []string{
			"limits that change hold from the next statement on",
		}},
		{name: "limits new connections alone", open: limitsNew, clauses: []string{
			"a tenant's limits are on its session and not on the next tenant's",
			"limits that change hold from the next statement on",
			"limits of many tenants stay apart",
		}},
		{name: "measures all tenants together", open: measuringAll, clauses: []string{
			"a tenant's size is that of its own data",
		}},
		{name: "refuses everything", open: refusing, clauses: []string{
			"reads see the tenant's rows and no others",
			"statements that control the session or transaction are refused",
		}, noLeak: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			findings := isolationtest.Check(t.Context(), tt.open(t), tt.clauses...)
			var caught []string
			for _, f := range findings {
				t.Log(f)
				caught = append(caught, f.Clause)
			}
			assert.Equal(t, tt.clauses, caught, "clauses that find the mistake")
			leak := slices.ContainsFunc(findings, func(f isolationtest.Finding) bool { return errors.Is(f.Err, isolationtest.ErrLeak) })
			assert.Equal(t, tt.noLeak, !leak, "whether a leak was seen")
		})
	}
}

func TestCheckUnknownClause(t *testing.T) {
	findings := isolationtest.Check(t.Context(), refusing(t), "no such clause")
	require.Len(t, findings, 1)
	assert.ErrorContains(t, findings[0].Err, "no clause has this name")
}

// shared returns an opener of targets over strategy, whose tenants share tables.
func shared(strategy isolation.Strategy, p isolation.Provisioner, kill func(context.Context) error) opener {
	_, system := strategy.(isolation.SystemPlacer)
	_, limits := strategy.(isolation.Limiter)
	return func(opts ...isolation.Option) (isolationtest.Target, error) {
		pool, err := isolation.New(strategy, opts...)
		return isolationtest.Target{
			Pool: pool, Provision: p.Provision, Deprovision: p.Deprovision, Shared: true, System: system, Limits: limits, Kill: kill,
		}, err
	}
}

// sharedRows returns a right strategy to spoil, on a fresh server.
func sharedRows(t *testing.T) (*rows, *server) {
	t.Helper()
	s := newServer(t)
	s.migrate(t, isolationtest.SharedTables(), policies...)
	return newRows(t, s), s
}

// confiner is a strategy with another way to confine.
type confiner struct {
	*rows
	confine func(ctx context.Context, conn driver.Conn, t tenant.Tenant) error
}

func (c confiner) Confine(ctx context.Context, conn driver.Conn, t tenant.Tenant) error {
	return c.confine(ctx, conn, t)
}

// noSystem hides that rows place a system.
type noSystem struct{ isolation.Strategy }

// once confines what it has not confined before, by key.
func once[K comparable](t *testing.T, key func(driver.Conn, tenant.Tenant) K) opener {
	right, s := sharedRows(t)
	var seen sync.Map
	return shared(noSystem{confiner{right, func(ctx context.Context, conn driver.Conn, t tenant.Tenant) error {
		if _, ok := seen.LoadOrStore(key(conn, t), true); ok {
			return nil
		}
		return right.Confine(ctx, conn, t)
	}}}, right, s.kill)
}

func forgetful(t *testing.T) opener {
	return once(t, func(conn driver.Conn, _ tenant.Tenant) driver.Conn { return conn })
}

// firstTimeOnly confines a connection to each tenant once, and so not when it comes
// back to one.
func firstTimeOnly(t *testing.T) opener {
	type visit struct {
		conn driver.Conn
		id   tenant.ID
	}
	return once(t, func(conn driver.Conn, t tenant.Tenant) visit { return visit{conn, t.ID} })
}

func erring(t *testing.T) opener {
	right, s := sharedRows(t)
	var mu sync.Mutex
	var calls int
	var last tenant.Tenant
	return shared(noSystem{confiner{right, func(ctx context.Context, conn driver.Conn, t tenant.Tenant) error {
		mu.Lock()
		if calls++; calls%50 == 0 {
			t = last
		}
		last = t
		mu.Unlock()
		return right.Confine(ctx, conn, t)
	}}}, right, s.kill)
}

func untidy(t *testing.T) opener {
	right, s := sharedRows(t)
	s.migrate(t, isolationtest.SharedTables(), `GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO APP`)
	return shared(noSystem{confiner{right, func(ctx context.Context, conn driver.Conn, t tenant.Tenant) error {
		_, err := conn.(driver.ExecerContext).ExecContext(ctx, setTenant(t.ID), nil)
		return err
	}}}, right, s.kill)
}

// believing switches in the message of the next statement, or in the transaction
// that begins next, and believes that it did even if that was rolled back.
func believing(t *testing.T) opener {
	right, s := sharedRows(t)
	right.connector = lazyConnector{right.connector}
	return shared(noSystem{confiner{right, func(_ context.Context, conn driver.Conn, t tenant.Tenant) error {
		conn.(*lazyConn).pending = pgsession.Reset + setTenant(t.ID)
		return nil
	}}}, right, s.kill)
}

type lazyConnector struct{ driver.Connector }

func (c lazyConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &lazyConn{Conn: conn.(*postgres.Conn)}, nil
}

type lazyConn struct {
	*postgres.Conn
	pending string
}

// taken returns what is pending, once.
func (c *lazyConn) taken() string {
	pending := c.pending
	c.pending = ""
	return pending
}

func (c *lazyConn) flush(ctx context.Context) error {
	if pending := c.taken(); pending != "" {
		_, err := c.Conn.ExecContext(ctx, pending, nil)
		return err
	}
	return nil
}

func (c *lazyConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if len(args) == 0 {
		return c.Conn.ExecContext(ctx, c.taken()+query, nil)
	}
	if err := c.flush(ctx); err != nil {
		return nil, err
	}
	return c.Conn.ExecContext(ctx, query, args)
}

func (c *lazyConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.flush(ctx); err != nil {
		return nil, err
	}
	return c.Conn.QueryContext(ctx, query, args)
}

func (c *lazyConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if err := c.flush(ctx); err != nil {
		return nil, err
	}
	return c.Conn.PrepareContext(ctx, query)
}

func (c *lazyConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	tx, err := c.Conn.BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	// Not the reset, which notices that it runs in a transaction.
	if _, err := c.Conn.ExecContext(ctx, strings.TrimPrefix(c.taken(), pgsession.Reset), nil); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return tx, nil
}

func superuser(t *testing.T) opener {
	right, s := sharedRows(t)
	right.connector = connector(t, s.db.URL())
	return shared(noSystem{right}, right, nil)
}

func searchPathOnly(t *testing.T) opener {
	s := newServer(t)
	schemas := newSchemas(t, s)
	_, err := s.admin.ExecContext(t.Context(), "ALTER ROLE "+s.role+" INHERIT")
	require.NoError(t, err)
	strategy := pathStrategy{schemas}
	return func(opts ...isolation.Option) (isolationtest.Target, error) {
		pool, err := isolation.New(strategy, opts...)
		return isolationtest.Target{
			Pool: pool, Provision: schemas.Provision, Deprovision: schemas.Deprovision, Qualified: qualified, Kill: s.kill,
		}, err
	}
}

// pathStrategy sets the search_path, and leaves the role as it is.
type pathStrategy struct{ *schemas }

func (pathStrategy) Confine(ctx context.Context, conn driver.Conn, t tenant.Tenant) error {
	return pgsession.Confine(ctx, conn, "SET search_path = "+schemaOf(t)+", pg_temp;")
}

// spoiled returns an opener over a right strategy, on a database where statements
// have spoiled what it relies on.
func spoiled(t *testing.T, statements ...string) opener {
	right, s := sharedRows(t)
	s.migrate(t, isolationtest.SharedTables(), statements...)
	return shared(noSystem{right}, right, s.kill)
}

// limiter is a strategy with another way to confine within limits.
type limiter struct {
	*rows
	within func(ctx context.Context, conn driver.Conn, t tenant.Tenant, l isolation.Limits) error
}

func (l limiter) ConfineWithin(ctx context.Context, conn driver.Conn, t tenant.Tenant, limits isolation.Limits) error {
	return l.within(ctx, conn, t, limits)
}

func limitless(t *testing.T) opener {
	right, s := sharedRows(t)
	return shared(limiter{right, func(ctx context.Context, conn driver.Conn, t tenant.Tenant, _ isolation.Limits) error {
		return right.Confine(ctx, conn, t)
	}}, right, s.kill)
}

func leavingLimits(t *testing.T) opener {
	right, s := sharedRows(t)
	return shared(limiter{right, func(ctx context.Context, conn driver.Conn, t tenant.Tenant, l isolation.Limits) error {
		_, err := conn.(driver.ExecerContext).ExecContext(ctx, setTenant(t.ID)+limitText(l), nil)
		return err
	}}, right, s.kill)
}

func limitsOnce(t *testing.T) opener {
	type visit struct {
		conn driver.Conn
		id   tenant.ID
	}
	right, s := sharedRows(t)
	var known sync.Map
	return shared(limiter{right, func(ctx context.Context, conn driver.Conn, t tenant.Tenant, l isolation.Limits) error {
		first, _ := known.LoadOrStore(visit{conn, t.ID}, l)
		return right.ConfineWithin(ctx, conn, t, first.(isolation.Limits))
	}}, right, s.kill)
}

func limitsNew(t *testing.T) opener {
	right, s := sharedRows(t)
	var known sync.Map
	return shared(limiter{right, func(ctx context.Context, conn driver.Conn, t tenant.Tenant, l isolation.Limits) error {
		if _, seen := known.LoadOrStore(conn, true); seen {
			l = isolation.Limits{}
		}
		return right.ConfineWithin(ctx, conn, t, l)
	}}, right, s.kill)
}

func measuringAll(t *testing.T) opener {
	right, s := sharedRows(t)
	open := shared(noSystem{right}, right, s.kill)
	return func(opts ...isolation.Option) (isolationtest.Target, error) {
		target, err := open(opts...)
		target.Size = func(ctx context.Context, _ tenant.Tenant) (n int64, err error) {
			return n, s.admin.QueryRowContext(ctx, `SELECT pg_total_relation_size('notes')`).Scan(&n)
		}
		return target, err
	}
}

func openWrites(t *testing.T) opener {
	return spoiled(t, `DROP POLICY own ON notes`, `CREATE POLICY own ON notes FOR SELECT USING (tenant_id = current_setting('app.tenant', true))`,
		`CREATE POLICY ins ON notes FOR INSERT WITH CHECK (true)`,
		`CREATE POLICY upd ON notes FOR UPDATE USING (tenant_id = current_setting('app.tenant', true)) WITH CHECK (true)`,
		`CREATE POLICY del ON notes FOR DELETE USING (tenant_id = current_setting('app.tenant', true))`)
}

func ownersViews(t *testing.T) opener {
	return spoiled(t, `ALTER VIEW labels RESET (security_invoker)`)
}

func globalKey(t *testing.T) opener {
	return spoiled(t, `CREATE UNIQUE INDEX sixth ON notes (title) WHERE id > 5`)
}

func globalReference(t *testing.T) opener {
	return spoiled(t, `CREATE UNIQUE INDEX late ON notes (id) WHERE id > 1000`,
		`ALTER TABLE tags DROP CONSTRAINT tags_tenant_id_note_id_fkey`,
		`CREATE FUNCTION refer() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN
			IF NOT EXISTS (SELECT 1 FROM public.notes WHERE id = NEW.note_id) THEN
				RAISE EXCEPTION 'note % is missing', NEW.note_id; END IF; RETURN NEW; END$$`,
		`CREATE TRIGGER refer BEFORE INSERT ON tags FOR EACH ROW EXECUTE FUNCTION refer()`)
}

// provisioner has other ways to make and remove homes.
type provisioner struct {
	isolation.Provisioner
	provision, deprovision func(context.Context, tenant.Tenant) error
}

func (p provisioner) Provision(ctx context.Context, t tenant.Tenant) error {
	return p.provision(ctx, t)
}
func (p provisioner) Deprovision(ctx context.Context, t tenant.Tenant) error {
	return p.deprovision(ctx, t)
}

func hoarding(t *testing.T) opener {
	right, s := sharedRows(t)
	keep := func(_ context.Context, t tenant.Tenant) error { return t.ID.Validate() }
	return shared(noSystem{right}, provisioner{provision: right.Provision, deprovision: keep}, s.kill)
}

func trusting(t *testing.T) opener {
	right, s := sharedRows(t)
	anything := func(context.Context, tenant.Tenant) error { return nil }
	return shared(noSystem{right}, provisioner{provision: anything, deprovision: right.Deprovision}, s.kill)
}

func sharedSystem(t *testing.T) opener {
	right, s := sharedRows(t)
	right.system = right.connector
	return shared(right, right, s.kill)
}

func refusing(t *testing.T) opener {
	right, s := sharedRows(t)
	return shared(noSystem{confiner{right, func(context.Context, driver.Conn, tenant.Tenant) error {
		return errors.New("no")
	}}}, right, s.kill)
}

func oneFile(t *testing.T) opener {
	files := files{dir: t.TempDir()}
	home := tenant.Tenant{ID: "home"}
	require.NoError(t, files.Provision(t.Context(), home))
	keep := func(_ context.Context, t tenant.Tenant) error { return t.ID.Validate() }
	return func(opts ...isolation.Option) (isolationtest.Target, error) {
		pool, err := isolation.New(oneFileStrategy{files, home}, opts...)
		return isolationtest.Target{Pool: pool, Provision: keep, Deprovision: keep, Dialect: isolationtest.SQLite}, err
	}
}

// oneFileStrategy opens the file of home, whoever asks.
type oneFileStrategy struct {
	files
	home tenant.Tenant
}

func (s oneFileStrategy) Place(ctx context.Context, _ tenant.Tenant) (isolation.Place, error) {
	return s.files.Place(ctx, s.home)
}
