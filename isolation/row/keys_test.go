package row_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/row"
)

// globalKeys has every kind of key without the tenant column, on two tables that
// refer to each other.
const globalKeys = `
	CREATE TABLE parents (tenant_id text NOT NULL, id int, email text, room int,
		CONSTRAINT parents_pkey PRIMARY KEY (tenant_id, id),
		CONSTRAINT parents_id_key UNIQUE (id),
		CONSTRAINT parents_email_key UNIQUE (email) INCLUDE (tenant_id),
		CONSTRAINT parents_room_excl EXCLUDE (room WITH =));
	CREATE UNIQUE INDEX parents_lower ON parents (lower(email)) WHERE id > 3;
	CREATE TABLE children (tenant_id text NOT NULL, id int, parent int,
		CONSTRAINT children_pkey PRIMARY KEY (id),
		CONSTRAINT children_parent FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE SET NULL DEFERRABLE);`

func TestKeysMustHaveTheTenantColumn(t *testing.T) {
	t.Parallel()
	f := open(t, globalKeys)
	s := f.strategy(t)
	want := [][2]string{
		{"public.parents parents_id_key", "key lacks tenant_id"},
		{"public.parents parents_email_key", "key lacks tenant_id"},
		{"public.parents parents_room_excl", "key lacks tenant_id"},
		{"public.parents parents_lower", "key lacks tenant_id"},
		{"public.children children_pkey", "key lacks tenant_id"},
		{"public.children children_parent", "foreign key lacks tenant_id"},
	}
	assertUnsafe(t, s.Install(t.Context()), want...)
	err := s.Verify(t.Context())
	assertUnsafe(t, err, want...)
	newSession(t, s) // keys are the host's choice: they refuse no connection

	excepted := f.strategy(t, row.AllowGlobalKeys("parents_id_key", "parents_email_key", "parents_room_excl", "public.parents_lower"),
		row.AllowGlobalKeys("children_pkey", "children_parent"))
	require.NoError(t, excepted.Verify(t.Context()))
}

// TestRemediesOfKeysWork runs the SQL that the findings give.
func TestRemediesOfKeysWork(t *testing.T) {
	t.Parallel()
	f := open(t, globalKeys)
	s := f.strategy(t)
	var unsafe *row.UnsafeError
	require.ErrorAs(t, s.Install(t.Context()), &unsafe)
	remedies := map[string]string{}
	for _, finding := range unsafe.Findings {
		remedies[finding.Object] = finding.Remedy
	}
	f.exec(t, remedies["public.children children_parent"]) // keys on (tenant_id, id) exist already
	for _, name := range []string{"parents parents_id_key", "parents parents_email_key", "parents parents_lower", "children children_pkey"} {
		f.exec(t, remedies["public."+name])
	}
	f.exec(t, `ALTER TABLE parents DROP CONSTRAINT parents_room_excl`) // its remedy wants the extension btree_gist
	require.NoError(t, s.Verify(t.Context()))

	c := newSession(t, s)
	c.confine(s, acme)
	c.must(`INSERT INTO parents (id, email) VALUES (1, 'a@example.com'); INSERT INTO children (id, parent) VALUES (1, 1)`)
	c.confine(s, globex)
	c.must(`INSERT INTO parents (id, email) VALUES (2, 'a@example.com')`)
	require.ErrorContains(t, c.exec(`INSERT INTO children (id, parent) VALUES (1, 1)`), "violates foreign key constraint", "acme's parent cannot be told from none")
	c.confine(s, acme)
	c.must(`DELETE FROM parents`)
	assert.Equal(t, []string{"<nil>"}, c.column(`SELECT parent FROM children`))
}

func TestColumnsThatCannotHoldTenants(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, ddl string
		want      [][2]string
	}{
		{"missing table", `CREATE TABLE other ()`, [][2]string{{"public.t", "no such table"}}},
		{"missing column", `CREATE TABLE t (id int)`, [][2]string{{"public.t", "no column tenant_id"}}},
		{"nullable", `CREATE TABLE t (tenant_id text)`, [][2]string{{"public.t", "may be null"}}},
		{"number", `CREATE TABLE t (tenant_id bigint NOT NULL)`, [][2]string{{"public.t", "type bigint"}}},
		{"padded", `CREATE TABLE t (tenant_id char(63) NOT NULL)`, [][2]string{{"public.t", "type character"}}},
		{"case-insensitive", `CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE TABLE t (tenant_id text COLLATE loose NOT NULL)`,
			[][2]string{{"public.t", "different tenants may be equal"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := open(t, tt.ddl)
			err := f.strategy(t, row.Tables("t")).Install(t.Context())
			var unsafe *row.UnsafeError
			require.ErrorAs(t, err, &unsafe)
			for _, w := range tt.want {
				assert.ErrorContains(t, err, w[0]+": ")
				assert.ErrorContains(t, err, w[1])
			}
		})
	}
}
