package pgtest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// holdVariable makes a test binary start a server and wait to be killed.
const holdVariable = "PGTEST_HOLD"

// Hold starts a server, says where it listens, and waits for the end of standard
// input, if the environment asks for it.
func Hold() bool {
	if os.Getenv(holdVariable) == "" {
		return false
	}
	i, err := newInstance()
	if err != nil {
		fmt.Println(err)
		return true
	}
	fmt.Println(i.address())
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	return true
}

// workspaceRoot is a temporary directory that the server's user may enter.
func workspaceRoot(t *testing.T) string {
	t.Helper()
	root, err := os.MkdirTemp("", "pgtest-lifetime-") //nolint:usetesting // only the test's own user may enter t.TempDir
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(root)) })
	require.NoError(t, os.Chmod(root, 0o755))
	return root
}

// serversBelow lists the processes whose command line names root.
func serversBelow(t *testing.T, root string) []string {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	var found []string
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(line), root) {
			found = append(found, path)
		}
	}
	return found
}

func TestRunLeavesNothing(t *testing.T) {
	t.Parallel()
	demandInstallation(t)
	root := workspaceRoot(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOpenGivesEachTestItsOwnDatabase$", "-test.v")
	cmd.Env = append(os.Environ(), "TMPDIR="+root)
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, string(output))
	require.Contains(t, string(output), "--- PASS: TestOpenGivesEachTestItsOwnDatabase")

	left, err := os.ReadDir(root)
	require.NoError(t, err)
	assert.Empty(t, left)
	assert.Empty(t, serversBelow(t, root))
}

func TestServerDiesWithAKilledTestBinary(t *testing.T) {
	t.Parallel()
	demandInstallation(t)
	root := workspaceRoot(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "TMPDIR="+root, holdVariable+"=1")
	_, err := cmd.StdinPipe() // stays open until the process is killed
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, host, "the child did not start its server")
	require.NotEmpty(t, serversBelow(t, root))

	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	assert.Eventually(t, func() bool { return len(serversBelow(t, root)) == 0 }, stopTimeout, pollInterval)

	left := leftovers(t, root)
	require.Len(t, left, 1)
	sweep(root)
	assert.DirExists(t, left[0], "a new directory is left alone: its lock may be yet to come")
	past := time.Now().Add(-2 * settling)
	require.NoError(t, os.Chtimes(left[0], past, past))
	sweep(root)
	assert.NoDirExists(t, left[0])
}

func TestSweepLeavesALivingBinarysDirectory(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, workspacePrefix+"1")
	require.NoError(t, os.Mkdir(dir, 0o700))
	held := lock(filepath.Join(dir, lockName))
	require.NotNil(t, held)
	past := time.Now().Add(-2 * settling)
	require.NoError(t, os.Chtimes(dir, past, past))
	sweep(root)
	assert.DirExists(t, dir)
	require.NoError(t, held.Close())
	sweep(root)
	assert.NoDirExists(t, dir)
}

func TestKillEndsBusyBackends(t *testing.T) {
	t.Parallel()
	server := Private(t)
	busy := make(chan error, 1)
	go func() {
		busy <- server.instance.exec(t.Context(), "SELECT count(*) FROM generate_series(1, 100000000000)")
	}()
	postmaster := server.instance.process.cmd.Process.Pid
	require.Eventually(t, func() bool { return busyBackends(t, server) == 1 }, stopTimeout, pollInterval)
	backends := children(postmaster)
	require.NotEmpty(t, backends)

	server.Kill()

	for _, pid := range append(backends, postmaster) {
		assert.False(t, alive(pid), "process %d", pid)
	}
	require.Error(t, <-busy)
}

// busyBackends counts the backends that count a series.
func busyBackends(t *testing.T, s *Server) int {
	t.Helper()
	count := -1
	query := "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate_series%' AND state = 'active' AND pid <> pg_backend_pid()"
	_ = s.instance.admin.QueryRowContext(t.Context(), query).Scan(&count) // a failure leaves -1
	return count
}

// leftovers lists the directories of servers below root.
func leftovers(t *testing.T, root string) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(root, workspacePrefix+"*"))
	require.NoError(t, err)
	return dirs
}
