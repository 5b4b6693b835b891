package fleet_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/fleet"
)

// everything is a home with an object of each kind.
const everything = `
CREATE TABLE customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL DEFAULT 'nobody');
CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint NOT NULL REFERENCES customers, total numeric(10,2) CHECK (total >= 0),
	twice numeric GENERATED ALWAYS AS (total * 2) STORED);
CREATE INDEX orders_customer ON orders (customer);
CREATE SEQUENCE numbers START 100;
CREATE VIEW names AS SELECT name FROM customers;
CREATE MATERIALIZED VIEW totals AS SELECT sum(total) AS total FROM orders;
CREATE TYPE state AS ENUM ('open', 'paid');
CREATE DOMAIN percent AS int CHECK (VALUE BETWEEN 0 AND 100);
-- +goose StatementBegin
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
-- +goose StatementEnd
CREATE TRIGGER touched BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY named ON customers USING (name <> '');
CREATE TABLE events (at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
`

// changes are made by hand in one home, each with the words that are to tell of it.
var changes = []struct{ change, tells string }{
	{`ALTER TABLE orders ADD COLUMN note text`, `column orders.note is not in the reference (found text)`},
	{`ALTER TABLE customers ALTER COLUMN name DROP NOT NULL`, `column customers.name is text default 'nobody'::text, want text not null default 'nobody'::text`},
	{`ALTER TABLE orders ALTER COLUMN customer TYPE int`, `column orders.customer is integer not null, want bigint not null`},
	{`ALTER TABLE orders DROP CONSTRAINT orders_total_check`, `constraint orders.orders_total_check is missing (want CHECK ((total >= (0)::numeric)))`},
	{`DROP INDEX orders_customer`, `index orders_customer is missing (want CREATE INDEX orders_customer ON orders USING btree (customer))`},
	{`ALTER SEQUENCE numbers INCREMENT 5`, `sequence numbers is bigint from 100 by 5`},
	{`CREATE OR REPLACE VIEW names AS SELECT 'x' || name AS name FROM customers`, `view names is SELECT ('x'::text || `},
	{`ALTER TYPE state ADD VALUE 'void'`, `type state is enum 'open', 'paid', 'void', want enum 'open', 'paid'`},
	{`ALTER DOMAIN percent SET NOT NULL`, `type percent is domain integer not null CHECK`},
	{`CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$`, `BEGIN RETURN NULL; END`},
	{`ALTER TABLE orders DISABLE TRIGGER touched`, `EXECUTE FUNCTION touch(), disabled, want`},
	{`ALTER POLICY named ON customers USING (true)`, `policy customers.named is permissive for all to public using (true), want`},
	{`ALTER TABLE customers DISABLE ROW LEVEL SECURITY`, `table customers is table, want table, row security`},
	{`GRANT SELECT ON customers TO PUBLIC`, `grant table customers to PUBLIC is not in the reference (found SELECT)`},
	{`GRANT USAGE ON SCHEMA t_t001 TO PUBLIC`, `grant schema (first) to PUBLIC is not in the reference (found USAGE)`},
	{`GRANT UPDATE (name) ON customers TO pg_monitor`, `grant column customers.name to pg_monitor`},
	{`REVOKE ALL ON orders FROM (tenant)`, `grant table orders to (tenant) is missing (want DELETE, INSERT, SELECT, UPDATE)`},
	{`GRANT SELECT ON orders TO (other)`, `to t_t000_`},
	{`ALTER TABLE customers OWNER TO postgres`, `owner table customers is not in the reference (found postgres)`},
	{`DROP TABLE events_2026`, `table events_2026 is missing (want table, partition FOR VALUES FROM ('2026-01-01') TO ('2027-01-01'))`},
	{`CREATE TABLE scratch (id int PRIMARY KEY)`, `table scratch is not in the reference (found table)`},
}

func TestDriftTellsWhatDiffers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	files := fstest.MapFS{"00001_all.sql": file(everything)}
	s := w.schemas(t, files)
	ts := tenants(2)
	provision(t, s, ts...)
	f := w.fleet(t, s, files)
	reference, err := f.Snapshot(t.Context(), ts[0])
	require.NoError(t, err)
	assert.Empty(t, driftOf(t, f, reference, ts), "names of schemas and roles are no differences")
	for object, definition := range reference.Objects {
		assert.NotContains(t, object+definition, "t_t00")
	}

	role := texts(t, w.root, `SELECT role_name FROM tenancy.homes ORDER BY tenant_id`)
	superuser := texts(t, w.root, `SELECT current_user`)[0]
	for _, c := range changes {
		names := strings.NewReplacer("(tenant)", role[1], "(other)", role[0], "postgres", superuser)
		_, err := w.root.ExecContext(t.Context(), `SET search_path TO t_t001; `+names.Replace(c.change))
		require.NoError(t, err, c.change)
	}
	found := driftOf(t, f, reference, ts)
	require.Len(t, found, 1)
	assert.Equal(t, ts[1].ID, found[0].Tenant)
	var words strings.Builder
	for _, d := range found[0].Differences {
		words.WriteString(d.String() + "\n")
	}
	for _, c := range changes {
		assert.Contains(t, words.String(), strings.ReplaceAll(c.tells, "found postgres", "found "+superuser), c.change)
	}
	assert.NotContains(t, words.String(), "scratch.id", "parts of a table that is one too many go without saying")
	assert.NotContains(t, words.String(), "tenancy_version")
}

func driftOf(t *testing.T, f *fleet.Fleet, reference fleet.Snapshot, ts []tenantT) (found []fleet.Deviation) {
	t.Helper()
	n, err := f.Drift(t.Context(), fleet.These(ts...), func(d fleet.Deviation) {
		require.NoError(t, d.Err)
		found = append(found, d)
	}, reference)
	require.NoError(t, err)
	assert.Equal(t, len(ts), n)
	return found
}

func TestDriftInAllStrategies(t *testing.T) {
	t.Parallel()
	four(t, func(t *testing.T, w *world, s strategy) {
		ts := tenants(2)
		provision(t, s, ts...)
		f := w.fleet(t, s, files(1))
		before, err := f.Snapshot(t.Context(), ts[0])
		require.NoError(t, err)
		kept, err := json.Marshal(before)
		require.NoError(t, err)
		var reference fleet.Snapshot
		require.NoError(t, json.Unmarshal(kept, &reference))
		assert.Equal(t, before.Fingerprint(), reference.Fingerprint())

		homes := 0
		_, err = f.Drift(t.Context(), fleet.These(ts...), func(d fleet.Deviation) { assert.Fail(t, "deviates", "%+v", d) }, reference)
		require.NoError(t, err)
		err = s.Administer(t.Context(), ts[1], func(ctx context.Context, conn *sql.Conn, home isolation.Home) error {
			if homes = 2; home.Shared {
				homes = 1
			}
			_, err := conn.ExecContext(ctx, `ALTER TABLE orders ADD COLUMN extra text`)
			return err
		})
		require.NoError(t, err)
		var found []fleet.Deviation
		n, err := f.Drift(t.Context(), fleet.These(ts...), func(d fleet.Deviation) { found = append(found, d) }, reference)
		require.NoError(t, err)
		assert.Equal(t, homes, n)
		require.Len(t, found, 1)
		require.Len(t, found[0].Differences, 1, "%v", found[0].Differences)
		assert.Equal(t, "column orders.extra", found[0].Differences[0].Object)
		after, err := f.Snapshot(t.Context(), ts[1])
		require.NoError(t, err)
		assert.NotEqual(t, before.Fingerprint(), after.Fingerprint())

		_, err = f.Drift(t.Context(), fleet.These(ts...), func(d fleet.Deviation) {
			assert.ErrorContains(t, d.Err, "no reference for homes of kind")
		}, fleet.Snapshot{Kind: "other"})
		require.NoError(t, err)
		_, err = f.Drift(t.Context(), fleet.These(ts...), func(fleet.Deviation) {})
		require.Error(t, err)
	})
}

func TestCompareInSQLite(t *testing.T) {
	t.Parallel()
	create := "CREATE TABLE a (id INTEGER PRIMARY KEY, name TEXT NOT NULL);\nCREATE TABLE b (a INTEGER REFERENCES a (id) ON DELETE CASCADE, c TEXT CHECK (c <> ''));\n" +
		"CREATE INDEX b_c ON b (c);\nCREATE VIEW v AS SELECT name FROM a;\nCREATE TRIGGER tr AFTER INSERT ON a BEGIN DELETE FROM b; END;\n"
	w, s := newFiles(t, fstest.MapFS{"00001_all.sql": file(strings.Replace(create, "CREATE TRIGGER", "-- +goose StatementBegin\nCREATE TRIGGER", 1) + "-- +goose StatementEnd\n")})
	ts := tenants(2)
	provision(t, s, ts...)
	f := w.fleet(t, s, own(1))
	reference, err := f.Snapshot(t.Context(), ts[0])
	require.NoError(t, err)
	err = s.Administer(t.Context(), ts[1], func(ctx context.Context, conn *sql.Conn, _ isolation.Home) error {
		_, err := conn.ExecContext(ctx, `DROP TABLE b; CREATE TABLE b (a INTEGER, c TEXT); DROP VIEW v; DROP TRIGGER tr`)
		return err
	})
	require.NoError(t, err)
	var objects []string
	for _, d := range driftOf(t, f, reference, ts)[0].Differences {
		objects = append(objects, d.Object)
	}
	assert.Equal(t, []string{"foreign key b (a)", "index b_c", "table b", "trigger tr", "view v"}, objects)
}
