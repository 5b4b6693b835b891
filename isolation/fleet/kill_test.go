package fleet_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/isolation/fleet"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/schema"
	"github.com/tenancy-go/tenancy/tenant"
)

// childEnv has the order of a child process: this test binary, as a runner.
const childEnv = "TENANCY_FLEET_CHILD"

type order struct {
	Homes    string // admin's URL of the homes' database, or a directory of SQLite files
	App      string // the tenants' URL
	Control  string // URL of the control database, or a SQLite file
	Tenants  int
	Versions int
	Target   int64
	Hold     string // file whose existence ends a migration that waits; see TestRunnersTakeTurns
}

const (
	kills    = 20
	steps    = kills + 2
	sqliteDB = "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)"
)

// slowSteps returns n migrations that append to a log before and after some work, so
// that a kill mostly comes between two statements of a transaction.
func slowSteps(n int, work string) fstest.MapFS {
	fsys := fstest.MapFS{"00001_log.sql": file("CREATE TABLE log (entry text NOT NULL);\n")}
	for i := 2; i <= n; i++ {
		fsys[fmt.Sprintf("%05d_step.sql", i)] = file(fmt.Sprintf(
			"INSERT INTO log VALUES ('%d begun');\n%sCREATE TABLE made_%d (x integer);\nINSERT INTO log VALUES ('%d ended');\n", i, work, i, i))
	}
	return fsys
}

const (
	workPostgres = "SELECT pg_sleep(0.01);\n"
	workSQLite   = "CREATE TABLE work AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) SELECT i FROM n;\nDROP TABLE work;\n"
)

// open returns what the order names. The caller ends the process, or the test.
func (o order) open() (strategy, *fleet.Ledger, fstest.MapFS, error) {
	if o.App == "" {
		control, err := sql.Open("sqlite", "file:"+o.Control+sqliteDB)
		if err != nil {
			return nil, nil, nil, err
		}
		files := slowSteps(o.Versions, workSQLite)
		s, err := sqlitefile.New(o.Homes, sqlitefile.Migrations(fstest.MapFS{"00001_log.sql": files["00001_log.sql"]}))
		if err != nil {
			return nil, nil, nil, err
		}
		l, err := fleet.NewLedger(control, fleet.OnSQLite)
		return s, l, files, err
	}
	var c [3]*postgres.Connector
	for i, url := range []string{o.Homes, o.App, o.Control} {
		var err error
		if c[i], err = postgres.NewConnector(url); err != nil {
			return nil, nil, nil, err
		}
	}
	files := slowSteps(o.Versions, workPostgres)
	s, err := schema.New(c[1], schema.Admin(c[0]), schema.Migrations(fstest.MapFS{"00001_log.sql": files["00001_log.sql"]}))
	if err != nil {
		return nil, nil, nil, err
	}
	l, err := fleet.NewLedger(sql.OpenDB(c[2]), fleet.OnPostgres)
	return s, l, files, err
}

// child runs an order and tells its parent of each home.
func child() int {
	var o order
	err := json.Unmarshal([]byte(os.Getenv(childEnv)), &o)
	if err == nil {
		err = o.run(func(e fleet.Event) {
			switch e.(type) {
			case fleet.HomeBegun:
				fmt.Println("begun")
			case fleet.HomeDone:
				fmt.Println("done")
			}
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (o order) run(report func(fleet.Event)) error {
	s, l, files, err := o.open()
	if err != nil {
		return err
	}
	m, err := fleet.Load(files, o.functions()...)
	if err != nil {
		return err
	}
	f, err := fleet.New(s, l, m, fleet.Workers(3), fleet.Target(o.Target), fleet.Waves(fleet.Homes(2)), fleet.Progress(report))
	if err != nil {
		return err
	}
	_, err = f.Run(context.Background(), fleet.These(tenants(o.Tenants)...))
	return err
}

// start starts a child and returns it with the lines that it prints.
func (o order) start(t *testing.T) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	config, err := json.Marshal(o)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(config))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	return cmd, bufio.NewScanner(out)
}

// TestKilledRunnersAreResumed kills a runner twenty times, each time on the way to
// another version, and at a random point: some homes later, and up to 30 ms after.
func TestKilledRunnersAreResumed(t *testing.T) {
	t.Parallel()
	t.Run("schemas", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		app := loginURL(t, w)
		killed(t, order{Homes: w.URL(), App: app, Control: w.controlURL, Tenants: 4, Versions: steps})
	})
	t.Run("files", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		killed(t, order{Homes: filepath.Join(dir, "homes"), Control: filepath.Join(dir, "control.db"), Tenants: 4, Versions: steps})
	})
}

func killed(t *testing.T, o order) {
	s, l, _, err := o.open()
	require.NoError(t, err)
	require.NoError(t, l.Migrate(t.Context()))
	ts := tenants(o.Tenants)
	provision(t, s, ts...)

	inTheMiddle := 0
	for round := range kills {
		o.Target = int64(round + 2)
		cmd, lines := o.start(t)
		for range rand.IntN(2*o.Tenants) + 1 {
			lines.Scan() // false once the child has ended
		}
		<-time.After(rand.N(30 * time.Millisecond))
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait() // killed, or done before that
		if len(entries(t, l, fleet.Running)) > 0 {
			inTheMiddle++
		}
	}
	t.Logf("%d of %d kills left homes under way", inTheMiddle, kills)
	assert.Positive(t, inTheMiddle, "no kill came in the middle of a home")

	o.Target = steps
	require.NoError(t, o.run(func(fleet.Event) {}))
	var want []string
	for i := 2; i <= steps; i++ {
		want = append(want, fmt.Sprintf("%d begun", i), fmt.Sprintf("%d ended", i))
	}
	for _, one := range ts {
		assert.Equal(t, want, logOf(t, s, one), "each statement once, in order")
	}
	for _, e := range entries(t, l) {
		assert.Equal(t, int64(steps), e.Version)
		assert.Equal(t, fleet.Migrated, e.State)
	}
}

// functions are the migrations in Go of an order: with Hold, the last one tells that
// it is there and waits for the file.
func (o order) functions() []fleet.Function {
	if o.Hold == "" {
		return nil
	}
	return []fleet.Function{{Version: int64(o.Versions + 1), Name: "hold", Up: func(ctx context.Context, _ fleet.Conn, _ isolation.Home) error {
		fmt.Println("holds")
		for ctx.Err() == nil {
			if _, err := os.Stat(o.Hold); err == nil {
				return nil
			}
			<-time.After(time.Millisecond)
		}
		return ctx.Err()
	}}}
}

// TestRunnersTakeTurns lets another process run, which is refused to a second runner
// until it dies.
func TestRunnersTakeTurns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	t.Run("postgres", func(t *testing.T) {
		takeTurns(t, order{Homes: w.URL(), App: loginURL(t, w), Control: w.controlURL, Tenants: 1, Versions: 2, Target: 3})
	})
	t.Run("sqlite", func(t *testing.T) {
		dir := t.TempDir()
		takeTurns(t, order{Homes: filepath.Join(dir, "homes"), Control: filepath.Join(dir, "control.db"), Tenants: 1, Versions: 2, Target: 3})
	})
}

func takeTurns(t *testing.T, o order) {
	o.Hold = filepath.Join(t.TempDir(), "go-on")
	s, l, files, err := o.open()
	require.NoError(t, err)
	require.NoError(t, l.Migrate(t.Context()))
	one := tenants(1)[0]
	provision(t, s, one)
	cmd, lines := o.start(t)
	for lines.Scan() && !strings.Contains(lines.Text(), "holds") {
	}

	m := load(t, files)
	_, err = fleetOf(t, s, l, m).Run(t.Context(), fleet.These(one))
	require.ErrorIs(t, err, fleet.ErrRunning)

	second := fleetOf(t, s, l, m, fleet.Wait())
	waiting := make(chan error)
	go func() {
		_, err := second.Run(t.Context(), fleet.These(one))
		waiting <- err
	}()
	select {
	case err := <-waiting:
		assert.Fail(t, "the second did not wait", err)
	case <-time.After(50 * time.Millisecond):
	}
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.NoError(t, <-waiting, "the lock died with its holder")
	assert.Equal(t, []string{"2 begun", "2 ended"}, logOf(t, s, one))
}

type tenantT = tenant.Tenant
