package orms

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
)

type bunNote struct {
	bun.BaseModel `bun:"table:notes,alias:n"`
	ID            int64         `bun:"id,pk"`
	Body          string        `bun:"body"`
	Comments      []*bunComment `bun:"rel:has-many,join:id=note_id"`
}

type bunComment struct {
	bun.BaseModel `bun:"table:comments,alias:c"`
	ID            int64  `bun:"id,pk"`
	NoteID        int64  `bun:"note_id"`
	Body          string `bun:"body"`
}

func TestBun(t *testing.T) {
	t.Parallel()
	inEachMode(t, func(t *testing.T, w world) {
		db := bun.NewDB(w.db, pgdialect.New())
		var notes []bunNote
		require.NoError(t, db.NewSelect().Model(&notes).Relation("Comments").Order("id").Scan(w.acme))
		require.Len(t, notes, 2)
		assert.Equal(t, "acme", notes[0].Body)
		require.Len(t, notes[0].Comments, 1)
		assert.Equal(t, "acme", notes[0].Comments[0].Body)

		var bodies []string
		require.NoError(t, db.NewRaw(`SELECT body FROM notes`).Scan(w.acme, &bodies))
		assert.Equal(t, []string{"acme", "acme"}, bodies)
		require.NoError(t, db.NewSelect().Table("notes").Column("body").Scan(w.acme, &bodies))
		assert.Equal(t, []string{"acme", "acme"}, bodies)
		require.NoError(t, db.NewSelect().TableExpr("notes AS n").Join("JOIN comments AS c ON c.note_id = n.id").Column("c.body").Scan(w.acme, &bodies))
		assert.Equal(t, []string{"acme"}, bodies)

		values := map[string]any{"id": 3, "body": "acme"}
		_, err := db.NewInsert().Model(&values).TableExpr("notes").Exec(w.acme)
		require.NoError(t, err)
		_, err = db.NewInsert().Model(&[]bunNote{{ID: 4, Body: "acme"}, {ID: 5, Body: "acme"}}).Exec(w.acme)
		require.NoError(t, err)
		_, err = db.NewUpdate().Table("notes").Set("body = ?", "bulk").Where("TRUE").Exec(w.acme)
		require.NoError(t, err)
		assert.Equal(t, []string{"bulk", "bulk", "bulk", "bulk", "bulk"}, w.bodies(t, w.acme))
		w.globexUntouched(t)

		require.NoError(t, db.RunInTx(w.acme, nil, func(_ context.Context, tx bun.Tx) error {
			if _, err := tx.NewDelete().Table("comments").Where("TRUE").Exec(w.acme); err != nil {
				return err
			}
			_, err := tx.NewDelete().Table("notes").Where("TRUE").Exec(w.acme)
			return err
		}))
		assert.Empty(t, w.bodies(t, w.acme))
		w.globexUntouched(t)

		isRefused(t, db.NewSelect().Model(&notes).Scan(t.Context()))
		_, err = db.NewDelete().Table("notes").Where("TRUE").Exec(t.Context())
		isRefused(t, err)
	})
}
