package archive_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/internal/thorough"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/archive"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/isolation/schema"
	"github.com/tenancy-go/tenancy/tenant"
)

// The environment of a child, which moves a tenant and is killed.
const (
	childTenant = "ARCHIVE_CHILD_TENANT"
	childTo     = "ARCHIVE_CHILD_TO"
	childAt     = "ARCHIVE_CHILD_AT"   // the step at which it kills itself, or ""
	childWhen   = "ARCHIVE_CHILD_WHEN" // before or after the step is recorded
	childShared = "ARCHIVE_CHILD_SHARED"
	childOwn    = "ARCHIVE_CHILD_OWN"
	childDir    = "ARCHIVE_CHILD_DIR"
)

func TestMain(m *testing.M) {
	if os.Getenv(childTenant) != "" {
		if err := child(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(pgtest.Run(m))
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // until it comes
}

// dyingJournal kills the process before a step is recorded.
type dyingJournal struct{ archive.Journal }

func (j dyingJournal) Update(ctx context.Context, r archive.Record) (archive.Record, error) {
	if string(r.Step) == os.Getenv(childAt) && os.Getenv(childWhen) == "before" {
		if old, err := j.Find(ctx, r.Tenant); err == nil && old.Step != r.Step {
			die()
		}
	}
	return j.Journal.Update(ctx, r)
}

// urls are how a child finds a database: as superuser, and as the application's role.
type urls struct{ Admin, App string }

func (u urls) open() (admin, app *postgres.Connector, err error) {
	if admin, err = postgres.NewConnector(u.Admin); err == nil {
		app, err = postgres.NewConnector(u.App)
	}
	return admin, app, err
}

// trio opens the places between which children move tenants.
func trio(shared, own urls, dir string) (strategies map[string]archive.Strategy, control *sql.DB, err error) {
	f := testFiles()
	admin, app, err := shared.open()
	if err != nil {
		return nil, nil, err
	}
	control = sql.OpenDB(admin)
	strategies = map[string]archive.Strategy{}
	if strategies["row"], err = row.New(app, row.Admin(admin), row.Migrations(f.shared)); err != nil {
		return nil, nil, err
	}
	if admin, app, err = own.open(); err != nil {
		return nil, nil, err
	}
	if strategies["schema"], err = schema.New(app, schema.Admin(admin), schema.Migrations(f.own)); err != nil {
		return nil, nil, err
	}
	strategies["sqlite"], err = sqlitefile.New(dir, sqlitefile.Migrations(f.sqlite))
	return strategies, control, err
}

func child(ctx context.Context) error {
	var shared, own urls
	if err := errors.Join(json.Unmarshal([]byte(os.Getenv(childShared)), &shared), json.Unmarshal([]byte(os.Getenv(childOwn)), &own)); err != nil {
		return err
	}
	strategies, control, err := trio(shared, own, os.Getenv(childDir))
	if err != nil {
		return err
	}
	archivers := map[string]*archive.Archiver{}
	for name, s := range strategies {
		if archivers[name], err = archive.New(s); err != nil {
			return err
		}
	}
	journal, err := archive.NewSQLJournal(ctx, control)
	if err != nil {
		return err
	}
	mover, err := archive.NewMover(dyingJournal{journal}, placements{control}, archivers, archive.Grace(0), archive.OnProgress(func(r archive.Record) {
		fmt.Println(r.Step)
		if string(r.Step) == os.Getenv(childAt) && os.Getenv(childWhen) == "after" {
			die()
		}
	}))
	if err != nil {
		return err
	}
	who := tenant.Tenant{ID: tenant.ID(os.Getenv(childTenant))}
	if _, err := mover.Move(ctx, who, os.Getenv(childTo)); err != nil {
		return err
	}
	_, err = mover.Finish(ctx, who)
	return err
}

// killing is a world whose places other processes open too.
type killing struct {
	*world
	env []string
}

func newKilling(t *testing.T) *killing {
	t.Helper()
	shared, own, dir := openURLs(t), openURLs(t), t.TempDir()
	strategies, control, err := trio(shared, own, dir)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, control.Close()) })
	journal, err := archive.NewSQLJournal(t.Context(), control)
	require.NoError(t, err)
	w := &world{places: map[string]*place{}, archivers: map[string]*archive.Archiver{}, placements: newPlacements(t, control), journal: journal}
	for name, s := range strategies {
		w.places[name] = pooled(t, &place{name: name, strategy: s})
		w.archivers[name] = w.places[name].archiver(t)
	}
	sharedText, err := json.Marshal(shared)
	require.NoError(t, err)
	ownText, err := json.Marshal(own)
	require.NoError(t, err)
	return &killing{w, append(os.Environ(), childShared+"="+string(sharedText), childOwn+"="+string(ownText), childDir+"="+dir)}
}

// openURLs makes a database and a role for an application.
func openURLs(t *testing.T) urls {
	t.Helper()
	db, role := pgtest.Open(t), pgtest.Name(t, "app")
	root := sql.OpenDB(connector(t, db.URL()))
	require.NoError(t, postgres.EnsureRole(t.Context(), root, role, "secret"))
	require.NoError(t, root.Close())
	return urls{db.URL(), db.As(role, "secret")}
}

// run starts a child that moves a tenant, and returns once it was killed: by itself
// at a step, or by us after some lines of what it tells.
func (k *killing) run(t *testing.T, who tenant.Tenant, to string, at archive.Step, when string, lines int, delay time.Duration) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(k.env, childTenant+"="+string(who.ID), childTo+"="+to, childAt+"="+string(at), childWhen+"="+when)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	told := bufio.NewScanner(out)
	for n := 0; told.Scan(); n++ {
		if lines > 0 && n == lines {
			<-time.After(delay) // anywhere in the step
			require.NoError(t, cmd.Process.Kill())
		}
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if lines > 0 && err == nil {
		return // it was faster
	}
	require.ErrorAs(t, err, &exit, "the child was to be killed")
	status, ok := exit.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.Equal(t, syscall.SIGKILL, status.Signal(), "%s", complaint.String())
}

// recover goes on with a move that was killed, or undoes it.
func (k *killing) recover(t *testing.T, who tenant.Tenant, from, to string, undo bool) {
	t.Helper()
	later := time.Now().Add(time.Hour) // when the dead process is taken for dead
	mover := k.mover(t, archive.Grace(0), archive.Clock(func() time.Time { return later }))
	want := to
	if undo {
		_, err := mover.RollBack(t.Context(), who)
		if err == nil {
			want = from
		} else {
			require.ErrorIs(t, err, archive.ErrFlipped)
		}
	}
	_, err := mover.Resume(t.Context(), who)
	require.NoError(t, err)
	record, err := mover.Finish(t.Context(), who)
	require.NoError(t, err)
	require.True(t, record.Finished(), "%v", record)
	at, err := k.placements.Placed(t.Context(), who.ID)
	require.NoError(t, err)
	assert.Equal(t, want, at)
	gone := from
	if want == from {
		gone = to
	}
	err = k.places[gone].db.PingContext(in(t, who))
	if gone != "row" { // where there is always a place, but no rows
		assert.ErrorIs(t, err, isolation.ErrNotProvisioned, "what the move left behind")
	} else {
		assert.Zero(t, one[int](t, k.places[gone], who, `SELECT count(*) FROM customers`))
	}
}

var steps = []archive.Step{archive.Prepared, archive.Captured, archive.Copied, archive.Frozen, archive.Flipping, archive.Flipped, archive.Dropping, archive.Done}

// TestKilledAtEveryStep kills a process that moves a tenant before and after it
// records each step, while the tenant writes, and goes on or rolls back in another.
func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	k := newKilling(t)
	k.settle(t, "row", globex)
	neighbour := k.places["row"].hashes(t, globex)
	ways := [][2]string{{"row", "sqlite"}, {"sqlite", "schema"}, {"schema", "row"}}
	n := 0
	for _, step := range steps {
		for _, when := range []string{"before", "after"} {
			way, undo := ways[n%len(ways)], n%2 == 0
			n++
			if !thorough.On() && n%5 != 1 {
				continue // by default every fifth: each way, both outcomes
			}
			t.Run(when+" "+string(step), func(t *testing.T) {
				who := tenant.Tenant{ID: tenant.ID(fmt.Sprintf("%s-%s", when, step))}
				k.settle(t, way[0], who)
				traffic := k.traffic(who, 2)
				k.run(t, who, way[1], step, when, 0, 0)
				k.recover(t, who, way[0], way[1], undo)
				traffic.some(t, 3)
				traffic.end(t)
			})
		}
	}
	assert.Equal(t, neighbour, k.places["row"].hashes(t, globex), "another tenant's rows")
}

// TestKilledAnywhere does so at random moments.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	k := newKilling(t)
	ways := [][2]string{{"row", "schema"}, {"schema", "sqlite"}, {"sqlite", "row"}}
	kills := 2
	if thorough.On() {
		kills = 12
	}
	for n := range kills {
		way := ways[n%len(ways)]
		who := tenant.Tenant{ID: tenant.ID(fmt.Sprintf("random-%d", n))}
		k.settle(t, way[0], who)
		traffic := k.traffic(who, 2)
		lines, delay := 1+rand.IntN(7), time.Duration(rand.IntN(100))*time.Millisecond
		t.Logf("kill %s after %d lines and %s", who.ID, lines, delay)
		k.run(t, who, way[1], "", "", lines, delay)
		if _, err := k.journal.Find(t.Context(), who.ID); errors.Is(err, archive.ErrNotFound) {
			assert.Fail(t, "the move was not recorded")
		}
		if r, err := k.journal.Find(t.Context(), who.ID); err != nil || !r.Finished() {
			k.recover(t, who, way[0], way[1], n%3 == 0)
		}
		traffic.some(t, 3)
		traffic.end(t)
	}
}
