package orms

import (
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/examples/orms/ent"
	entnote "github.com/tenancy-go/tenancy/examples/orms/ent/note"
)

func TestEnt(t *testing.T) {
	t.Parallel()
	inEachMode(t, func(t *testing.T, w world) {
		client := ent.NewClient(ent.Driver(entsql.OpenDB(dialect.Postgres, w.db)))
		notes, err := client.Note.Query().WithComments().Order(entnote.ByID()).All(w.acme)
		require.NoError(t, err)
		require.Len(t, notes, 2)
		assert.Equal(t, "acme", notes[0].Body)
		require.Len(t, notes[0].Edges.Comments, 1)
		assert.Equal(t, "acme", notes[0].Edges.Comments[0].Body)

		bodies, err := client.Note.Query().QueryComments().Select("body").Strings(w.acme) // a join
		require.NoError(t, err)
		assert.Equal(t, []string{"acme"}, bodies)
		count, err := client.Note.Query().Where(entnote.HasComments()).Count(w.acme) // a sub-select
		require.NoError(t, err)
		assert.Equal(t, 1, count)

		_, err = client.Note.Create().SetID(3).SetBody("acme").Save(w.acme)
		require.NoError(t, err)
		require.NoError(t, client.Note.CreateBulk(
			client.Note.Create().SetID(4).SetBody("acme"),
			client.Note.Create().SetID(5).SetBody("acme"),
		).Exec(w.acme))
		changed, err := client.Note.Update().SetBody("bulk").Save(w.acme) // no predicate
		require.NoError(t, err)
		assert.Equal(t, 5, changed)
		w.globexUntouched(t)

		tx, err := client.Tx(w.acme)
		require.NoError(t, err)
		_, err = tx.Comment.Delete().Exec(w.acme)
		require.NoError(t, err)
		deleted, err := tx.Note.Delete().Exec(w.acme) // no predicate
		require.NoError(t, err)
		assert.Equal(t, 5, deleted)
		require.NoError(t, tx.Commit())
		assert.Empty(t, w.bodies(t, w.acme))
		w.globexUntouched(t)

		_, err = client.Note.Query().All(t.Context())
		isRefused(t, err)
		_, err = client.Note.Delete().Exec(t.Context())
		isRefused(t, err)
	})
}
