package fleet_test

import (
	"context"
	"errors"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/fleet"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	m := load(t, files(3), fleet.Function{Version: 7, Name: "seven", Up: nothing})
	assert.Equal(t, []int64{1, 2, 3, 7}, m.Versions())
	assert.Equal(t, int64(7), m.Latest())
	assert.Equal(t, []int64{5}, load(t, fstest.MapFS{}, fleet.Function{Version: 5, Name: "alone", Up: nothing}).Versions())
}

func nothing(context.Context, fleet.Conn, isolation.Home) error { return errors.New("not called") }

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, tells string
		files       fstest.MapFS
		functions   []fleet.Function
	}{
		{"nothing", "00001_name.sql", fstest.MapFS{}, nil},
		{"no annotation", "goose", fstest.MapFS{"00001_a.sql": {Data: []byte("SELECT 1;")}}, nil},
		{"a commit", "COMMIT would cut", fstest.MapFS{"00001_a.sql": file("INSERT INTO a VALUES (1);\n/* ; */ COMMIT;\nSELECT 1;\n")}, nil},
		{"a version twice", "version 1", fstest.MapFS{"00001_a.sql": file("SELECT 1;\n")}, []fleet.Function{{Version: 1, Name: "b", Up: nothing}}},
		{"a function without code", "want a version", own(1), []fleet.Function{{Version: 2, Name: "b"}}},
		{"files beside folders", "lies beside", fstest.MapFS{"00001_a.sql": file("SELECT 1;\n"), "own/00001_a.sql": file("SELECT 1;\n")}, nil},
		{"folders that disagree", "each version needs a file", fstest.MapFS{"own/00001_a.sql": file("SELECT 1;\n"), "sqlite/00002_a.sql": file("SELECT 1;\n")}, nil},
		{"a bad file in one folder", "sqlite", fstest.MapFS{"own/00001_a.sql": file("SELECT 1;\n"), "sqlite/00001_a.sql": {Data: []byte("SELECT 1;")}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := fleet.Load(tt.files, tt.functions...)
			assert.ErrorContains(t, err, tt.tells)
		})
	}
	_, err := fleet.Load(nil)
	assert.Error(t, err)
}

// TestFilesForAnotherKindOfHome has a DO block, which SQLite would read as a transaction,
// and no folder for SQLite.
func TestFilesForAnotherKindOfHome(t *testing.T) {
	t.Parallel()
	const do = "-- +goose Up\n-- +goose StatementBegin\nDO $$ BEGIN PERFORM 1; COMMIT; END $$;\n-- +goose StatementEnd\n"
	w, s := newFiles(t, own(1))
	one := tenants(1)[0]
	provision(t, s, one)
	for _, name := range []string{"00001_do.sql", "own/00001_do.sql"} {
		m := load(t, fstest.MapFS{name: {Data: []byte(do)}})
		report, err := fleetOf(t, s, w.ledger, m).Run(t.Context(), fleet.These(one))
		require.ErrorIs(t, err, fleet.ErrStopped)
		assert.ErrorContains(t, report.Failures[0].Err, "sqlite")
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("-- +goose Up\nCREATE TABLE a (x int);\n"))
	f.Add([]byte("-- +goose NO TRANSACTION\n-- +goose Up\nVACUUM;\n-- +goose Down\nSELECT 1;"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := fleet.Load(fstest.MapFS{"00001_a.sql": {Data: data}})
		if err == nil {
			assert.Equal(t, []int64{1}, m.Versions())
		}
	})
}
