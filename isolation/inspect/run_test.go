package inspect_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation/inspect"
)

// recorder tells in what kind of transaction Run works.
type recorder struct {
	*sql.DB
	opts []*sql.TxOptions
}

func (r *recorder) BeginTx(ctx context.Context, opts *sql.TxOptions) (*sql.Tx, error) {
	r.opts = append(r.opts, opts)
	return r.DB.BeginTx(ctx, opts)
}

func TestRunOnlyReadsAndLeavesNothing(t *testing.T) {
	t.Parallel()
	f := open(t, pgtest.Open(t))
	f.root.SetMaxOpenConns(1)
	r := &recorder{DB: f.root}
	_, err := inspect.Run(t.Context(), r, inspect.Rows(f.role))
	require.NoError(t, err)
	assert.Equal(t, []*sql.TxOptions{{ReadOnly: true}}, r.opts)
	var path, jit string
	require.NoError(t, f.root.QueryRowContext(t.Context(), `SELECT current_setting('search_path'), current_setting('jit')`).Scan(&path, &jit))
	assert.Equal(t, `"$user", public`, path)
	assert.Equal(t, "on", jit)
}

func TestRunRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	f := open(t, pgtest.Open(t))
	reason := inspect.Suppression{Lint: "rls-off", Object: "public.plans", Reason: "no tenants' data"}
	without, unknown := reason, reason
	without.Reason, unknown.Lint = " ", "rls-of"
	tests := []struct {
		name   string
		target inspect.Target
		opts   []inspect.Option
		want   string
	}{
		{name: "no target", want: "use Rows, Schemas or Databases"},
		{name: "no role", target: inspect.Rows(), want: "name the roles"},
		{name: "an unknown role", target: inspect.Rows("nobody_here", f.role), want: "no role nobody_here"},
		{name: "no column", target: inspect.Rows(f.role), opts: []inspect.Option{inspect.Column("")}, want: "Column"},
		{name: "a bad table", target: inspect.Rows(f.role), opts: []inspect.Option{inspect.Tables("a.b.c")}, want: `"a.b.c"`},
		{name: "tables of schemas", target: inspect.Schemas(f.role), opts: []inspect.Option{inspect.Tables("orders")}, want: "Tables is for Rows"},
		{name: "homes of rows", target: inspect.Rows(f.role), opts: []inspect.Option{inspect.Homes(inspect.Home{Name: "one"})}, want: "Homes is for"},
		{name: "no databases", target: inspect.Databases("", f.role), want: "want a prefix"},
		{name: "no registry", target: inspect.Schemas(f.role), want: "tenancy.homes"},
		{name: "no reason", target: inspect.Rows(f.role), opts: []inspect.Option{inspect.Suppress(without)}, want: "a reason"},
		{name: "an unknown lint", target: inspect.Rows(f.role), opts: []inspect.Option{inspect.Suppress(unknown)}, want: `no lint "rls-of"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			report, err := inspect.Run(t.Context(), f.root, tt.target, tt.opts...)
			assert.Nil(t, report)
			assert.ErrorContains(t, err, tt.want)
		})
	}
}

func TestSuppressionsShowInTheReport(t *testing.T) {
	t.Parallel()
	f := open(t, pgtest.Open(t))
	f.exec(t, `REVOKE TEMPORARY ON DATABASE $db FROM PUBLIC; ALTER ROLE $app IN DATABASE $db SET search_path = public, pg_temp;
		CREATE TABLE plans (id int); CREATE TABLE prices (id int); GRANT SELECT ON plans, prices TO $app`)
	plans := inspect.Suppression{Lint: "shared-table-readable", Object: "public.plans", Reason: "the price list"}
	stale := inspect.Suppression{Lint: "rule", Object: "*", Reason: "old"}
	report := f.run(t, inspect.Rows(f.role), inspect.Suppress(plans, stale))
	require.Len(t, report.Findings, 1)
	assert.Equal(t, "public.prices", report.Findings[0].Object)
	require.Len(t, report.Suppressed, 1)
	assert.Equal(t, "public.plans", report.Suppressed[0].Object)
	assert.Equal(t, "the price list", report.Suppressed[0].Reason)
	assert.Equal(t, []inspect.Suppression{stale}, report.Unused)

	plans.Object = "*"
	assert.NoError(t, f.run(t, inspect.Rows(f.role), inspect.Suppress(plans)).Err(inspect.Low))
}

// TestColumnsOfOtherNamesAndTypes inspects policies that this module did not make.
func TestColumnsOfOtherNamesAndTypes(t *testing.T) {
	t.Parallel()
	f := open(t, pgtest.Open(t))
	f.exec(t, `REVOKE TEMPORARY ON DATABASE $db FROM PUBLIC; ALTER ROLE $app IN DATABASE $db SET search_path = public, pg_temp;
		CREATE TABLE "Docs" ("group" bigint NOT NULL DEFAULT current_setting('app.org')::bigint, id int, PRIMARY KEY ("group", id));
		ALTER TABLE "Docs" ENABLE ROW LEVEL SECURITY; ALTER TABLE "Docs" FORCE ROW LEVEL SECURITY;
		CREATE POLICY allow ON "Docs" USING ("group" = (SELECT current_setting('app.org')::bigint));
		CREATE POLICY fence ON "Docs" AS RESTRICTIVE USING ("group" = (SELECT current_setting('app.org')::bigint));
		GRANT SELECT, INSERT ON "Docs" TO $app`)
	target := inspect.Rows(f.role)
	require.NoError(t, f.run(t, target, inspect.Column("group")).Err(inspect.Low))
	f.exec(t, `CREATE UNIQUE INDEX "By Id" ON "Docs" (id); DROP POLICY fence ON "Docs"`)
	report := f.run(t, target, inspect.Column("group"))
	assert.Equal(t, []string{"key-without-tenant", "policy-unrestricted"}, lintsOf(report))
	for _, finding := range report.Findings {
		f.exec(t, finding.Remedy)
	}
	assert.NoError(t, f.run(t, target, inspect.Column("group")).Err(inspect.Low))

	f.exec(t, `ALTER TABLE "Docs" RENAME COLUMN "group" TO "The Org"`)
	assert.NoError(t, f.run(t, target, inspect.Column("The Org")).Err(inspect.Low))
}

// TestSeveralRoles inspects for more than one runtime role at once.
func TestSeveralRoles(t *testing.T) {
	t.Parallel()
	f := open(t, pgtest.Open(t))
	f.exec(t, `CREATE ROLE $app_jobs LOGIN BYPASSRLS; REVOKE TEMPORARY ON DATABASE $db FROM PUBLIC;
		ALTER ROLE $app IN DATABASE $db SET search_path = pg_temp; ALTER ROLE $app_jobs IN DATABASE $db SET search_path = pg_temp`)
	report := f.run(t, inspect.Rows(f.role, f.role+"_jobs"))
	require.Len(t, report.Findings, 1)
	assert.Equal(t, "role "+f.role+"_jobs", report.Findings[0].Object)
}
