package orms

import (
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDatabaseSQL(t *testing.T) {
	t.Parallel()
	inEachMode(t, func(t *testing.T, w world) {
		assert.Equal(t, []string{"acme", "acme"}, w.bodies(t, w.acme))
		assert.Equal(t, []string{"acme"}, w.strings(t, w.acme, `SELECT c.body FROM notes n JOIN comments c ON c.note_id = n.id`))
		assert.Equal(t, []string{"acme"}, w.strings(t, w.acme, `SELECT DISTINCT body FROM notes WHERE id IN (SELECT note_id FROM comments)`))

		result, err := w.db.ExecContext(w.acme, `UPDATE notes SET body = 'changed'`) // no WHERE
		require.NoError(t, err)
		changed, err := result.RowsAffected()
		require.NoError(t, err)
		assert.Equal(t, int64(2), changed)
		w.globexUntouched(t)

		stmt, err := w.db.PrepareContext(w.acme, `SELECT body FROM notes WHERE id = $1`)
		require.NoError(t, err)
		defer stmt.Close()
		var body string
		require.NoError(t, stmt.QueryRowContext(w.globex, 1).Scan(&body))
		assert.Equal(t, "globex", body, "a prepared statement follows its context")

		_, err = w.db.ExecContext(w.acme, `DELETE FROM comments`)
		require.NoError(t, err)
		_, err = w.db.ExecContext(w.acme, `DELETE FROM notes`)
		require.NoError(t, err)
		assert.Empty(t, w.bodies(t, w.acme))
		w.globexUntouched(t)

		_, err = w.db.ExecContext(t.Context(), `DELETE FROM notes`)
		isRefused(t, err)
	})
}

// note is a row, for sqlx, GORM and bun.
type note struct {
	ID   int64  `db:"id" gorm:"column:id;primaryKey;autoIncrement:false" bun:"id,pk"`
	Body string `db:"body" gorm:"column:body" bun:"body"`
}

func (note) TableName() string { return "notes" }

func TestSQLX(t *testing.T) {
	t.Parallel()
	inEachMode(t, func(t *testing.T, w world) {
		db := sqlx.NewDb(w.db, "postgres")
		var notes []note
		require.NoError(t, db.SelectContext(w.acme, &notes, `SELECT id, body FROM notes ORDER BY id`))
		assert.Equal(t, []note{{1, "acme"}, {2, "acme"}}, notes)

		query, args, err := sqlx.In(`SELECT id, body FROM notes WHERE id IN (?) ORDER BY id`, []int64{1, 2})
		require.NoError(t, err)
		require.NoError(t, db.SelectContext(w.globex, &notes, db.Rebind(query), args...))
		assert.Equal(t, []note{{1, "globex"}, {2, "globex"}}, notes)

		_, err = db.NamedExecContext(w.acme, `INSERT INTO notes (id, body) VALUES (:id, :body)`, []note{{3, "acme"}, {4, "acme"}})
		require.NoError(t, err)
		_, err = db.NamedExecContext(w.acme, `INSERT INTO notes (id, body) VALUES (:id, :body)`, map[string]any{"id": 5, "body": "acme"})
		require.NoError(t, err)
		_, err = db.NamedExecContext(w.acme, `UPDATE notes SET body = :body`, map[string]any{"body": "changed"})
		require.NoError(t, err)
		w.globexUntouched(t)

		tx, err := db.BeginTxx(w.acme, nil)
		require.NoError(t, err)
		_, err = tx.ExecContext(w.acme, `DELETE FROM comments`)
		require.NoError(t, err)
		_, err = tx.ExecContext(w.acme, `DELETE FROM notes`)
		require.NoError(t, err)
		require.NoError(t, tx.Commit())
		assert.Empty(t, w.bodies(t, w.acme))
		w.globexUntouched(t)

		isRefused(t, db.Get(&notes, `SELECT id, body FROM notes`))
		_, err = db.Exec(`DELETE FROM notes`) //nolint:noctx // what is refused
		isRefused(t, err)
	})
}
