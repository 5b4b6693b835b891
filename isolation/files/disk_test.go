package files_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/files"
	"github.com/tenancy-go/tenancy/isolation/files/filestest"
)

func put(t testing.TB, s files.Store, ctx context.Context, name, content string) { //nolint:revive // t first, as in testify
	t.Helper()
	_, err := s.Put(ctx, name, strings.NewReader(content))
	require.NoError(t, err)
}

func read(t testing.TB, s files.Store, ctx context.Context, name string) string { //nolint:revive // t first, as in testify
	t.Helper()
	f, err := s.Open(ctx, name)
	require.NoError(t, err)
	content, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return string(content)
}

// paths returns all that is below dir, and is no directory.
func paths(t testing.TB, dir string) []string {
	t.Helper()
	found := []string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			found = append(found, filepath.ToSlash(rel))
		}
		return err
	}))
	return found
}

func TestDiskKeepsFilesAcrossProcesses(t *testing.T) {
	t.Parallel()
	dir, a := t.TempDir(), as(t.Context(), "a")
	first := newDisk(t, dir)
	put(t, first, a, "d/One.txt", "1")
	assert.Equal(t, []string{"t-a/files/d+/%4fne%2etxt="}, paths(t, dir), "in letters that no disk confuses")
	second := newDisk(t, dir)
	assert.Equal(t, "1", read(t, second, a, "d/One.txt"))
	put(t, second, a, "d/One.txt", "2")
	assert.Equal(t, "2", read(t, first, a, "d/One.txt"))
}

// Two stores on one directory stand for processes: the locks are the system's.
func TestDiskCountsExactlyAcrossProcesses(t *testing.T) {
	t.Parallel()
	dir, a := t.TempDir(), as(t.Context(), "a")
	ledger := filestest.NewLedger(1 << 30)
	done := make(chan error)
	for i := range 4 {
		d := newDisk(t, dir, files.Observe(ledger))
		go func() {
			var err error
			for n := 0; n < 30 && err == nil; n++ {
				_, err = d.Put(a, "one", strings.NewReader(strings.Repeat("x", 100*i+n)))
				if n%3 == 0 && err == nil {
					if err = d.Delete(a, "one"); errors.Is(err, files.ErrNotFound) {
						err = nil
					}
				}
			}
			done <- err
		}()
	}
	for range 4 {
		require.NoError(t, <-done)
	}
	u, err := newDisk(t, dir).Usage(a)
	require.NoError(t, err)
	used, reserved := ledger.Used("a")
	assert.Equal(t, u.Bytes, used)
	assert.Zero(t, reserved)
}

func TestDiskRefusesPlantedLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := newDisk(t, dir)
	a, b := as(t.Context(), "a"), as(t.Context(), "b")
	put(t, d, a, "secret", "of a")
	outside := filepath.Join(t.TempDir(), "outside")
	require.NoError(t, os.WriteFile(outside, []byte("of the host"), 0o600))

	require.NoError(t, os.Symlink("t-a", filepath.Join(dir, "t-b")))
	_, err := d.Open(b, "secret")
	require.ErrorIs(t, err, files.ErrUnsafe)
	_, err = d.Put(b, "secret", strings.NewReader("of b"))
	require.ErrorIs(t, err, files.ErrUnsafe)
	require.ErrorIs(t, d.DeleteAll(b), files.ErrUnsafe)
	require.NoError(t, os.Remove(filepath.Join(dir, "t-b")))

	put(t, d, b, "own", "of b")
	for name, target := range map[string]string{
		"neighbour": "../../t-a/files/secret=",
		"absolute":  filepath.Join(dir, "t-a/files/secret="),
		"outside":   outside,
		"dangling":  "../../t-a/files/new=",
	} {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, "t-b/files", name+"=")))
		_, err = d.Open(b, name)
		require.Error(t, err, name)
		require.NotErrorIs(t, err, files.ErrNotFound, name)
		put(t, d, b, name, "of b") // replaces the link, and follows it nowhere
		assert.Equal(t, "of b", read(t, d, b, name))
	}
	require.NoError(t, os.Symlink("../../t-a/files", filepath.Join(dir, "t-b/files/up+")))
	_, err = d.Open(b, "up/secret")
	require.Error(t, err)
	_, err = d.Put(b, "up/new", strings.NewReader("of b"))
	require.Error(t, err)
	assert.Equal(t, "of a", read(t, d, a, "secret"))
	content, err := os.ReadFile(outside)
	require.NoError(t, err)
	assert.Equal(t, "of the host", string(content))
	page, err := d.List(a, files.Query{})
	require.NoError(t, err)
	assert.Len(t, page.Files, 1)
}

func TestDiskRefusesDamagedFiles(t *testing.T) {
	t.Parallel()
	dir, a := t.TempDir(), as(t.Context(), "a")
	d := newDisk(t, dir)
	for name, damage := range map[string]func(path string) error{
		"cut":     func(path string) error { return os.Truncate(path, 60) },
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"foreign": func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("x", 100)), 0o600) },
	} {
		put(t, d, a, name, strings.Repeat("content", 10))
		require.NoError(t, damage(filepath.Join(dir, "t-a/files", name+"=")))
		_, err := d.Open(a, name)
		require.ErrorIs(t, err, files.ErrCorrupt, name)
		put(t, d, a, name, "whole again")
		assert.Equal(t, "whole again", read(t, d, a, name))
	}
}

func TestDiskIgnoresWhatItDidNotWrite(t *testing.T) {
	t.Parallel()
	dir, a := t.TempDir(), as(t.Context(), "a")
	d := newDisk(t, dir)
	put(t, d, a, "one", "1")
	for _, name := range []string{"README.md", "%4G=", "%61=", "x", "%2=", "ONE="} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "t-a/files", name), []byte("x"), 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "t-a/files/dir="), 0o700))
	page, err := d.List(a, files.Query{})
	require.NoError(t, err)
	if assert.Len(t, page.Files, 1) {
		assert.Equal(t, "one", page.Files[0].Name)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "t-a/files/%41="), []byte("x"), 0o600)) // as "A" is written
	_, err = d.List(a, files.Query{})
	require.ErrorIs(t, err, files.ErrCorrupt, "but what is damaged is not passed over")
	require.NoError(t, d.Delete(a, "A"))
	_, err = d.List(a, files.Query{})
	require.NoError(t, err)
}

func TestDiskSweeps(t *testing.T) {
	t.Parallel()
	dir, a := t.TempDir(), as(t.Context(), "a")
	now := time.Now()
	d := newDisk(t, dir, files.Clock(func() time.Time { return now }))
	put(t, d, a, "one", "1")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "t-a/new/abandoned"), []byte("half"), 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, ".trash/x/files"), 0o700))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "t-No-ID"), 0o700))

	started, finish := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() {
		_, err := d.Put(a, "slow", io.MultiReader(strings.NewReader("begin"), waiter{started, finish}, strings.NewReader("end")))
		done <- err
	}()
	<-started
	require.NoError(t, d.Sweep(t.Context()))
	assert.Contains(t, paths(t, dir), "t-a/new/abandoned", "too young to tell")
	now = now.Add(time.Hour)
	require.NoError(t, d.Sweep(t.Context()))
	assert.NotContains(t, paths(t, dir), "t-a/new/abandoned")
	assert.NoDirExists(t, filepath.Join(dir, ".trash/x"))
	close(finish)
	require.NoError(t, <-done, "who is still writing is let be")
	assert.Equal(t, "beginend", read(t, d, a, "slow"))
	assert.Equal(t, []string{"t-a/files/one=", "t-a/files/slow="}, paths(t, dir))
}

// waiter is an empty reader that says when it is read, and waits.
type waiter struct{ started, finish chan struct{} }

func (w waiter) Read([]byte) (int, error) {
	close(w.started)
	<-w.finish
	return 0, io.EOF
}

func TestDiskPutMeetsDeleteAll(t *testing.T) {
	t.Parallel()
	dir, a := t.TempDir(), as(t.Context(), "a")
	ledger := filestest.NewLedger(1000)
	d := newDisk(t, dir, files.Observe(ledger))
	put(t, d, a, "one", "1")
	_, err := d.Put(a, "two", io.MultiReader(strings.NewReader("2"), doing(func() { assert.NoError(t, d.DeleteAll(a)) })))
	require.ErrorIs(t, err, files.ErrGone)
	assert.Empty(t, paths(t, dir))
	used, reserved := ledger.Used("a")
	assert.Zero(t, used+reserved)
}

// doing is an empty reader that does something.
type doing func()

func (d doing) Read([]byte) (int, error) { d(); return 0, io.EOF }

func TestReconcile(t *testing.T) {
	t.Parallel()
	dir, a := t.TempDir(), as(t.Context(), "a")
	put(t, newDisk(t, dir), a, "d/one", "12345") // by a process that was killed before it told
	ledger := filestest.NewLedger(1000)
	d := newDisk(t, dir, files.Observe(ledger))
	require.NoError(t, d.Reconcile(a))
	used, _ := ledger.Used("a")
	assert.EqualValues(t, 5, used)
	require.NoError(t, d.Reconcile(as(t.Context(), "b")))
	require.Error(t, d.Reconcile(t.Context()))
}

func TestNewDiskRefuses(t *testing.T) {
	t.Parallel()
	_, err := files.NewDisk("")
	require.Error(t, err)
	open := filepath.Join(t.TempDir(), "open")
	require.NoError(t, os.Mkdir(open, 0o700))
	require.NoError(t, os.Chmod(open, 0o777)) //nolint:gosec // what is refused
	_, err = files.NewDisk(open)
	require.ErrorIs(t, err, files.ErrUnsafe)
	for _, opt := range []files.Option{files.MaxFileSize(-1), files.Observe(nil), files.Clock(nil)} {
		_, err := files.NewDisk(t.TempDir(), opt)
		require.Error(t, err)
	}
}

// Removals and sweeps at the same time leave nothing, and lose nothing.
func TestDiskSweepMeetsDeleteAll(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := newDisk(t, dir)
	put(t, d, as(t.Context(), "b"), "one", "of b")
	stop, done := make(chan struct{}), make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := d.Sweep(t.Context()); err != nil {
				done <- err
				return
			}
		}
	}()
	a := as(t.Context(), "a")
	for range 30 {
		put(t, d, a, "d/one", "1")
		require.NoError(t, d.DeleteAll(a))
		_, err := d.Stat(a, "d/one")
		require.ErrorIs(t, err, files.ErrNotFound)
	}
	close(stop)
	require.NoError(t, <-done)
	assert.Equal(t, []string{"t-b/files/one="}, paths(t, dir))
}
