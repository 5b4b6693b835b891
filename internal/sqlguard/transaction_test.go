package sqlguard_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tenancy-go/tenancy/internal/sqlguard"
)

func TestTransaction(t *testing.T) {
	t.Parallel()
	tests := []struct{ query, postgres, sqlite string }{
		{"CREATE TABLE t (x int); INSERT INTO t VALUES (1)", "", ""},
		{"INSERT INTO t VALUES ('; COMMIT;')", "", ""},
		{"SELECT 1; /* ; */ commit", "COMMIT", "COMMIT"},
		{"ROLLBACK TO SAVEPOINT a; RELEASE a", "", ""},
		{"rollback work", "ROLLBACK", "ROLLBACK"},
		{"BEGIN; SELECT 1", "BEGIN", "BEGIN"},
		{"START TRANSACTION", "START", "START"},
		{"SELECT 1; END", "END", "END"},
		{"CREATE TRIGGER a AFTER INSERT ON t BEGIN INSERT INTO u VALUES (1); END", "", ""},
		{"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END; COMMIT", "COMMIT", "COMMIT"},
		{"CREATE TABLE t (x int); END; END", "END", "END"},
		{"DO $$ BEGIN PERFORM 1; COMMIT; END $$", "", "COMMIT"},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.postgres, sqlguard.PostgresTransaction(tt.query), tt.query)
		assert.Equal(t, tt.sqlite, sqlguard.SQLiteTransaction(tt.query), tt.query)
	}
}
