package inspect

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
)

// TestServersWithoutFixes asks as if the server were older than it is.
func TestServersWithoutFixes(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("postgres", pgtest.Open(t).URL())
	require.NoError(t, err)
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { assert.NoError(t, tx.Rollback()) }()
	for version, detail := range map[int]string{
		140018: "14.18 lacks the fix of CVE-2025-8713 (statistics)",
		140019: "",
		150002: "15.2 lacks the fix of CVE-2023-2455 (policies and inlined functions), CVE-2023-39418 (MERGE past policies), " +
			"CVE-2024-10976 (policies in cached plans), CVE-2024-10978 (SET ROLE), CVE-2025-8713 (statistics)",
		150018: "",
		160004: "16.4 lacks the fix of CVE-2024-10976 (policies in cached plans), CVE-2024-10978 (SET ROLE), CVE-2025-8713 (statistics)",
		170006: "",
		180000: "",
	} {
		target := Rows("postgres")
		c, err := configure(target, nil)
		require.NoError(t, err)
		_, err = tx.ExecContext(t.Context(), enterCatalog)
		require.NoError(t, err)
		lints := applicable(rows, false, 150000)
		found, err := ask(t.Context(), tx, statement(rows, lints), c.argument(target, session{version: version}), lints)
		require.NoError(t, err)
		got := ""
		for _, f := range found {
			if f.Lint == "server-version" {
				got = f.Detail
			}
		}
		assert.Equal(t, detail, got)
	}
}

func TestOlderServersAreNotAskedForWhatTheyLack(t *testing.T) {
	t.Parallel()
	newer := applicable(rows, true, 150000)
	older := applicable(rows, true, 149999)
	assert.Greater(t, len(newer), len(older))
	for _, l := range older {
		assert.NotContains(t, l.query, "pg_parameter_acl")
		assert.NotContains(t, l.query, "pg_publication_namespace")
	}
}
