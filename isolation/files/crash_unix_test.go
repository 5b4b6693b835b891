//go:build unix

package files_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/files"
)

// What the test binary does as a child: write until it is killed, or into a disk that is
// full.
const (
	roleVar = "TENANCY_FILES_TEST_ROLE"
	dirVar  = "TENANCY_FILES_TEST_DIR"
)

func TestMain(m *testing.M) {
	switch os.Getenv(roleVar) {
	case "write":
		fmt.Println(writeForever(os.Getenv(dirVar)))
		os.Exit(1)
	case "overflow":
		if err := overflow(os.Getenv(dirVar)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this test binary
	cmd.Env = append(os.Environ(), roleVar+"="+role, dirVar+"="+dir)
	return cmd
}

func version(n int) string { return strings.Repeat(fmt.Sprintf("version %d ", n), 50_000) }

// writeForever says which version it is about to write, and which it has written.
func writeForever(dir string) error {
	d, err := files.NewDisk(dir)
	if err != nil {
		return err
	}
	ctx := as(context.Background(), "a")
	for n := 1; ; n++ {
		if _, err := d.Put(ctx, "one", strings.NewReader(version(n))); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// A writer that is killed leaves the last version that it reported, or the next, whole.
func TestKilledWriter(t *testing.T) {
	t.Parallel()
	for round := range 5 {
		dir := t.TempDir()
		cmd := child(t, "write", dir)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		last := 0
		for last <= round {
			require.True(t, lines.Scan())
			_, err := fmt.Sscan(lines.Text(), &last)
			require.NoError(t, err, lines.Text())
		}
		require.NoError(t, cmd.Process.Kill())
		for lines.Scan() {
			_, err := fmt.Sscan(lines.Text(), &last)
			require.NoError(t, err, lines.Text())
		}
		require.Error(t, cmd.Wait())

		later := time.Now().Add(time.Hour)
		d := newDisk(t, dir, files.Clock(func() time.Time { return later }))
		got := read(t, d, as(t.Context(), "a"), "one")
		assert.True(t, got == version(last) || got == version(last+1), "version %d was reported; the file begins with %.20q", last, got)
		require.NoError(t, d.Sweep(t.Context()))
		assert.Equal(t, []string{"t-a/files/one="}, paths(t, dir))
	}
}

// overflow writes more than the process may, which fails as on a full disk.
func overflow(dir string) error {
	d, err := files.NewDisk(dir)
	if err != nil {
		return err
	}
	ctx := as(context.Background(), "a")
	if _, err := d.Put(ctx, "one", strings.NewReader("old")); err != nil {
		return err
	}
	limit := syscall.Rlimit{Cur: 1 << 20, Max: 1 << 20}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	_, err = d.Put(ctx, "one", io.LimitReader(zeros{}, 2<<20))
	if err == nil {
		return fmt.Errorf("a file was put past the limit")
	}
	if u, err := d.Usage(ctx); err != nil || u != (files.Usage{Files: 1, Bytes: 3}) {
		return fmt.Errorf("what was there changed to %+v: %w", u, err)
	}
	_, err = d.Put(ctx, "two", strings.NewReader("small enough"))
	return err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, err := child(t, "overflow", dir).CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Equal(t, []string{"t-a/files/one=", "t-a/files/two="}, paths(t, dir), "nothing is left of the file that failed")
	assert.Equal(t, "old", read(t, newDisk(t, dir), as(t.Context(), "a"), "one"))
}
