package envelope_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/isolation/envelope/envelopetest"
	"github.com/tenancy-go/tenancy/tenant"
)

func openJournal(t testing.TB, path string) *envelope.FileJournal {
	t.Helper()
	j, err := envelope.OpenFileJournal(path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func buried(t testing.TB, j *envelope.FileJournal) []tenant.ID {
	t.Helper()
	all, err := j.Tombstones(t.Context(), "", 1000)
	require.NoError(t, err)
	var ids []tenant.ID
	for _, s := range all {
		ids = append(ids, s.Tenant)
	}
	return ids
}

func bury(id tenant.ID) envelope.Tombstone {
	return envelope.Tombstone{Tenant: id, At: time.Date(2026, 11, 25, 1, 2, 3, 4000, time.UTC), Reason: "left"}
}

func TestFileJournal(t *testing.T) {
	t.Parallel()
	envelopetest.TestJournal(t, func(t *testing.T) envelope.Journal {
		return openJournal(t, filepath.Join(t.TempDir(), "shredded"))
	})
}

func TestFileJournalIsSharedAndStays(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "shredded")
	here, there := openJournal(t, path), openJournal(t, path)
	require.NoError(t, here.Shred(t.Context(), bury("acme")))
	require.NoError(t, there.Shred(t.Context(), bury("globex")))
	want := []tenant.ID{"acme", "globex"}
	assert.Equal(t, want, buried(t, here))
	assert.Equal(t, want, buried(t, there))
	assert.Equal(t, want, buried(t, openJournal(t, path)))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	require.Error(t, here.Shred(t.Context(), bury("Not an ID")))
	require.Error(t, here.Shred(t.Context(), envelope.Tombstone{Tenant: "long", Reason: strings.Repeat("a", 1<<17)}))
}

// A process may die while it writes. What it was told to write was then not confirmed.
func TestFileJournalWithATornLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "shredded")
	require.NoError(t, openJournal(t, path).Shred(t.Context(), bury("acme")))
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for n := range len(whole) {
		path := filepath.Join(dir, "torn")
		require.NoError(t, os.WriteFile(path, whole[:n], 0o600))
		j := openJournal(t, path)
		assert.Empty(t, buried(t, j), "cut to %d", n)
		require.NoError(t, j.Shred(t.Context(), bury("globex")), "cut to %d", n)
		want := []tenant.ID{"globex"}
		if n == len(whole)-1 {
			want = []tenant.ID{"acme", "globex"} // only its newline was missing
		}
		assert.Equal(t, want, buried(t, openJournal(t, path)), "cut to %d", n)
	}
}

func TestDamagedFileJournalsAreRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "shredded")
	for _, text := range []string{"something else\n", `{"tenant":"Not an ID"}` + "\n", `{"tenant":7}` + "\n", "{}\n", `{"tenant":"acme","at":"soon"}` + "\n"} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := envelope.OpenFileJournal(path)
		require.Error(t, err, text)
	}
	_, err := envelope.OpenFileJournal(filepath.Dir(path))
	require.Error(t, err)
}

// A journal that lost entries under a running process is no answer.
func TestFileJournalThatShrank(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "shredded")
	j := openJournal(t, path)
	require.NoError(t, j.Shred(t.Context(), bury("acme")))
	require.NoError(t, os.Truncate(path, 5))
	_, _, err := j.Tombstone(t.Context(), "globex")
	require.ErrorContains(t, err, "shorter")
}

func FuzzFileJournal(f *testing.F) {
	f.Add([]byte("\n{\"tenant\":\"acme\",\"at\":\"2026-11-25T01:02:03Z\",\"reason\":\"\"}\n"))
	f.Add([]byte("{\"tenant\":\"acm"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "shredded")
		require.NoError(t, os.WriteFile(path, text, 0o600))
		j, err := envelope.OpenFileJournal(path)
		if err != nil {
			return
		}
		defer j.Close()
		before := buried(t, j)
		if err := j.Shred(t.Context(), bury("last")); err != nil {
			return // a half line that the new one makes whole, and wrong
		}
		after := buried(t, j)
		assert.Subset(t, after, before)
		assert.Contains(t, after, tenant.ID("last"))
		assert.Equal(t, after, buried(t, openJournal(t, path)))
	})
}
