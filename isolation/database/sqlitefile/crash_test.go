//go:build unix

package sqlitefile_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	osexec "os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/tenant"
)

const childVariable = "SQLITEFILE_TEST_CHILD"

// TestMain runs as one of the children when asked to.
func TestMain(m *testing.M) {
	child, ok := children[os.Getenv(childVariable)]
	if !ok {
		os.Exit(m.Run())
	}
	if err := child(context.Background(), os.Args[len(os.Args)-1]); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

// children are processes of their own. Each gets the directory.
var children = map[string]func(ctx context.Context, dir string) error{
	"write":          childWrites,
	"provision":      childProvisions,
	"full-provision": childProvisionsOnFullDisk,
	"full-write":     childWritesToFullDisk,
}

// start starts a child.
func start(t *testing.T, name, dir string) (*osexec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := osexec.CommandContext(t.Context(), os.Args[0], dir)
	cmd.Env = append(os.Environ(), childVariable+"="+name)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	return cmd, bufio.NewScanner(out)
}

func childStrategy(dir string) (*sqlitefile.Strategy, *sql.DB, error) {
	s, err := sqlitefile.New(dir, sqlitefile.Migrations(files(firstMigration, filler)))
	if err != nil {
		return nil, nil, err
	}
	pool, err := isolation.New(s)
	if err != nil {
		return nil, nil, err
	}
	return s, sql.OpenDB(pool), nil
}

// filler makes the template large enough to be caught half-written.
const filler = `-- +goose Up
CREATE TABLE filler (data BLOB);
INSERT INTO filler WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) SELECT randomblob(10000) FROM n;
`

// childWrites commits rows for ever, and prints each once it is committed.
func childWrites(ctx context.Context, dir string) error {
	_, db, err := childStrategy(dir)
	if err != nil {
		return err
	}
	ctx = tenant.NewContext(ctx, acme)
	for i := 1; ; i++ {
		if _, err := db.ExecContext(ctx, `INSERT INTO customer (id, name) VALUES (?, hex(randomblob(500)))`, i); err != nil {
			return err
		}
		fmt.Println(i)
	}
}

// TestKilledWriter kills a process that writes, while another process reads.
func TestKilledWriter(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	provision(t, s, acme)
	db, _ := pooled(t, s)
	for range 5 {
		exec(t, db, acme, `DELETE FROM customer`)
		cmd, out := start(t, "write", dir)
		last := 0
		for out.Scan() {
			n, err := strconv.Atoi(out.Text())
			require.NoError(t, err, out.Text())
			last = n
			if n == 200 {
				require.NoError(t, cmd.Process.Kill())
			}
			if n%50 == 0 && n < 200 {
				assert.GreaterOrEqual(t, count(t, db, acme, `SELECT count(*) FROM customer`), n)
			}
		}
		require.Error(t, cmd.Wait())
		require.GreaterOrEqual(t, last, 200)
		assert.GreaterOrEqual(t, count(t, db, acme, `SELECT count(*) FROM customer`), last, "what was committed is kept")
		assert.Equal(t, "ok", text(t, db, acme, `PRAGMA integrity_check`))
	}
}

// childProvisions provisions and deprovisions for ever.
func childProvisions(ctx context.Context, dir string) error {
	s, _, err := childStrategy(dir)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		who := tenant.Tenant{ID: tenant.ID(fmt.Sprint("k", i))}
		if err := s.Provision(ctx, who); err != nil {
			return err
		}
		if i%2 == 1 {
			if err := s.Deprovision(ctx, who); err != nil {
				return err
			}
		}
		fmt.Println(i)
	}
}

// TestKilledProvisioning kills a process that makes and removes homes, at
// whatever point it has reached.
func TestKilledProvisioning(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "homes")
	unfinished := 0
	for round := range 12 {
		cmd, out := start(t, "provision", dir)
		for seen := 0; out.Scan(); seen++ {
			if seen == round%4 {
				require.NoError(t, cmd.Process.Kill())
			}
		}
		require.Error(t, cmd.Wait())
		unfinished += len(names(t, filepath.Join(dir, ".tenancy"))) - 1

		s, err := sqlitefile.New(dir, sqlitefile.Migrations(files(firstMigration, filler)))
		require.NoError(t, err)
		db, _ := pooled(t, s)
		homes, err := filepath.Glob(filepath.Join(dir, "t-*.db"))
		require.NoError(t, err)
		for _, home := range homes {
			id := tenant.ID(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(home), "t-"), ".db"))
			who := tenant.Tenant{ID: id}
			assert.Equal(t, "ok", text(t, db, who, `PRAGMA integrity_check`), "a home is whole")
			assert.Equal(t, 100, count(t, db, who, `SELECT count(*) FROM filler`))
			require.NoError(t, s.Deprovision(t.Context(), who))
		}
		require.NoError(t, s.Verify(t.Context()))
		assert.Equal(t, []string{"lock.db"}, names(t, filepath.Join(dir, ".tenancy")), "leftovers are removed")
		require.NoError(t, db.Close())
		require.NoError(t, s.Close())
	}
	t.Logf("%d unfinished files found", unfinished)
}

// limitFiles makes every file of the process as good as on a full disk beyond n
// bytes.
func limitFiles(n uint64) error {
	signal.Ignore(syscall.SIGXFSZ)
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: n})
}

// childProvisionsOnFullDisk has the disk run full while the template is made, or
// while it is copied.
func childProvisionsOnFullDisk(ctx context.Context, dir string) error {
	for _, limit := range []uint64{200_000, 100_000, 50_000, 4096, 100} {
		if err := limitFiles(limit); err != nil {
			return err
		}
		s, _, err := childStrategy(dir)
		if err != nil {
			return err
		}
		err = s.Provision(ctx, acme)
		if err == nil {
			return fmt.Errorf("provisioned within %d bytes", limit)
		}
		fmt.Println("refused:", err)
	}
	return nil
}

func TestProvisionOnFullDisk(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "homes")
	cmd, out := start(t, "full-provision", dir)
	refused := 0
	for out.Scan() {
		require.True(t, strings.HasPrefix(out.Text(), "refused:"), out.Text())
		refused++
	}
	require.NoError(t, cmd.Wait())
	assert.Equal(t, 5, refused)
	assert.Equal(t, []string{".tenancy"}, names(t, dir))
	assert.Equal(t, []string{"lock.db"}, names(t, filepath.Join(dir, ".tenancy")))
	s := openIn(t, dir)
	assert.NoError(t, s.Provision(t.Context(), acme), "once there is room")
}

// childWritesToFullDisk commits rows until the disk is full, then tries a few
// more times.
func childWritesToFullDisk(ctx context.Context, dir string) error {
	_, db, err := childStrategy(dir)
	if err != nil {
		return err
	}
	if err := limitFiles(300_000); err != nil {
		return err
	}
	ctx = tenant.NewContext(ctx, acme)
	for i, failures := 1, 0; failures < 5; i++ {
		_, err := db.ExecContext(ctx, `INSERT INTO customer (id, name) VALUES (?, hex(randomblob(2000)))`, i)
		if err != nil {
			failures++
			continue
		}
		fmt.Println(i)
	}
	return nil
}

func TestWriteToFullDisk(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	provision(t, s, acme)
	cmd, out := start(t, "full-write", dir)
	committed := 0
	for out.Scan() {
		_, err := strconv.Atoi(out.Text())
		require.NoError(t, err, out.Text())
		committed++
	}
	require.NoError(t, cmd.Wait())
	require.Positive(t, committed)
	db, _ := pooled(t, s)
	assert.Equal(t, committed, count(t, db, acme, `SELECT count(*) FROM customer`), "neither more nor less than was committed")
	assert.Equal(t, "ok", text(t, db, acme, `PRAGMA integrity_check`))
	exec(t, db, acme, `INSERT INTO customer (name) VALUES ('once there is room')`)
}

// TestTwoProcesses has this process and another write to one file at once.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	provision(t, s, acme)
	db, _ := pooled(t, s)
	cmd, out := start(t, "write", dir)
	theirs := 0
	var reading sync.WaitGroup
	reading.Go(func() {
		for out.Scan() {
			theirs++
		}
	})
	const ours = 200
	for i := range ours {
		exec(t, db, acme, `INSERT INTO customer (id, name) VALUES (?, 'ours')`, -1-i)
	}
	require.NoError(t, cmd.Process.Kill())
	reading.Wait()
	require.Error(t, cmd.Wait())
	assert.Equal(t, ours, count(t, db, acme, `SELECT count(*) FROM customer WHERE id < 0`))
	assert.GreaterOrEqual(t, count(t, db, acme, `SELECT count(*) FROM customer WHERE id > 0`), theirs)
	assert.Equal(t, "ok", text(t, db, acme, `PRAGMA integrity_check`))
}
