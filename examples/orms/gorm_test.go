package orms

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

type comment struct {
	ID     int64
	NoteID int64
	Body   string
	Note   note `gorm:"foreignKey:NoteID"`
}

func (comment) TableName() string { return "comments" }

func TestGORM(t *testing.T) {
	t.Parallel()
	inEachMode(t, func(t *testing.T, w world) {
		db, err := gorm.Open(postgres.New(postgres.Config{Conn: w.db}), &gorm.Config{
			Logger:               logger.Discard,
			DisableAutomaticPing: true, // without a tenant it would be refused
			AllowGlobalUpdate:    true,
		})
		require.NoError(t, err)
		asAcme := func() *gorm.DB { return db.WithContext(w.acme) }

		var notes []note
		require.NoError(t, asAcme().Order("id").Find(&notes).Error)
		assert.Equal(t, []note{{1, "acme"}, {2, "acme"}}, notes)

		// Where plug-ins that add a WHERE to GORM's own queries leak.
		var bodies []string
		require.NoError(t, asAcme().Raw(`SELECT body FROM notes`).Scan(&bodies).Error)
		assert.Equal(t, []string{"acme", "acme"}, bodies)
		require.NoError(t, asAcme().Table("notes").Pluck("body", &bodies).Error)
		assert.Equal(t, []string{"acme", "acme"}, bodies)
		require.NoError(t, asAcme().Table("notes").Joins("JOIN comments ON comments.note_id = notes.id").Pluck("comments.body", &bodies).Error)
		assert.Equal(t, []string{"acme"}, bodies)
		var comments []comment
		require.NoError(t, asAcme().Joins("Note").Find(&comments).Error)
		assert.Equal(t, []comment{{1, 1, "acme", note{1, "acme"}}}, comments)
		require.NoError(t, asAcme().Preload("Note").Find(&comments).Error)
		assert.Equal(t, []comment{{1, 1, "acme", note{1, "acme"}}}, comments)

		require.NoError(t, asAcme().Table("notes").Create(map[string]any{"id": 3, "body": "acme"}).Error)
		require.NoError(t, asAcme().Create(&[]note{{4, "acme"}, {5, "acme"}}).Error)
		assert.Len(t, w.bodies(t, w.acme), 5)
		require.NoError(t, asAcme().Save(&note{1, "saved"}).Error)
		require.NoError(t, asAcme().Exec(`UPDATE notes SET body = 'raw'`).Error)
		require.NoError(t, asAcme().Model(&note{}).Update("body", "bulk").Error)
		require.NoError(t, asAcme().Table("notes").Updates(map[string]any{"body": "table"}).Error)
		w.globexUntouched(t)

		require.NoError(t, asAcme().Transaction(func(tx *gorm.DB) error {
			if err := tx.Delete(&comment{}).Error; err != nil {
				return err
			}
			return tx.Delete(&note{}).Error
		}))
		assert.Empty(t, w.bodies(t, w.acme))
		w.globexUntouched(t)

		isRefused(t, db.Find(&notes).Error)
		isRefused(t, db.Exec(`DELETE FROM notes`).Error)
		isRefused(t, db.Create(&note{6, "nobody"}).Error)
	})
}

func TestGORMWithPreparedStatements(t *testing.T) {
	t.Parallel()
	inEachMode(t, func(t *testing.T, w world) {
		db, err := gorm.Open(postgres.New(postgres.Config{Conn: w.db}), &gorm.Config{
			Logger: logger.Discard, DisableAutomaticPing: true, PrepareStmt: true,
		})
		require.NoError(t, err)
		for range 3 {
			for name, ctx := range map[string]*gorm.DB{"acme": db.WithContext(w.acme), "globex": db.WithContext(w.globex)} {
				var n note
				require.NoError(t, ctx.First(&n, 1).Error)
				assert.Equal(t, note{1, name}, n)
			}
		}
	})
}
