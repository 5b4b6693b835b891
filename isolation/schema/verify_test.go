package schema_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
)

// TestVerifyFindsWhatWasGivenByHand does harm of each kind, sees it found, and
// mends it.
func TestVerifyFindsWhatWasGivenByHand(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	provision(t, s, open(t, s), "acme", "beta")
	require.NoError(t, s.Verify(t.Context()))

	for _, tt := range []struct{ harm, mend, finding string }{
		{`GRANT SELECT ON t_beta.orders TO ACME`, `REVOKE SELECT ON t_beta.orders FROM ACME`, "rights outside their own schema"},
		{`GRANT USAGE ON SCHEMA t_beta TO ACME`, `REVOKE USAGE ON SCHEMA t_beta FROM ACME`, "rights outside their own schema"},
		{`GRANT SELECT (item) ON t_beta.orders TO ACME`, `REVOKE SELECT (item) ON t_beta.orders FROM ACME`, "rights outside their own schema"},
		{`GRANT EXECUTE ON FUNCTION t_beta.spy TO ACME`, `REVOKE EXECUTE ON FUNCTION t_beta.spy FROM ACME`, "rights outside their own schema"},
		{`GRANT SELECT ON tenancy.homes TO ACME`, `REVOKE SELECT ON tenancy.homes FROM ACME`, "rights outside their own schema"},
		{`GRANT CREATE ON SCHEMA t_acme TO ACME`, `REVOKE CREATE ON SCHEMA t_acme FROM ACME`, "CREATE on schema t_acme"},
		{`GRANT TRUNCATE ON t_acme.orders TO ACME`, `REVOKE TRUNCATE ON t_acme.orders FROM ACME`, "TRUNCATE on t_acme.orders"},
		{`GRANT SELECT ON t_acme.orders TO PUBLIC`, `REVOKE SELECT ON t_acme.orders FROM PUBLIC`, "PUBLIC has rights on tenants' schemas"},
		{`GRANT USAGE ON SCHEMA t_acme TO PUBLIC`, `REVOKE USAGE ON SCHEMA t_acme FROM PUBLIC`, "PUBLIC has rights on tenants' schemas"},
		{`GRANT CREATE ON SCHEMA public TO PUBLIC`, `REVOKE CREATE ON SCHEMA public FROM PUBLIC`, "PUBLIC may make things"},
		{`GRANT TEMP ON DATABASE DB TO PUBLIC`, `REVOKE TEMP ON DATABASE DB FROM PUBLIC`, "TEMPORARY on database"},
		{`GRANT BETA TO ACME`, `REVOKE BETA FROM ACME`, "members of other roles"},
		{`ALTER ROLE ACME CREATEROLE`, `ALTER ROLE ACME NOCREATEROLE`, "rights over the whole server"},
		{`ALTER ROLE ACME LOGIN`, `ALTER ROLE ACME NOLOGIN`, "can log in"},
		{`ALTER TABLE t_acme.orders OWNER TO ACME`, `ALTER TABLE t_acme.orders OWNER TO OWNER_ACME`, "not owned by their own owner"},
		{`GRANT USAGE ON SCHEMA t_beta TO OWNER_ACME`, `REVOKE USAGE ON SCHEMA t_beta FROM OWNER_ACME`, "owners of homes have rights in other"},
		{`GRANT SELECT ON t_acme.orders TO LOGIN_ROLE`, `REVOKE SELECT ON t_acme.orders FROM LOGIN_ROLE`, "login role has rights of its own"},
		{`CREATE TABLE public.mine (); ALTER TABLE public.mine OWNER TO LOGIN_ROLE`, `DROP TABLE public.mine`, "login role owns objects"},
		{`GRANT OWNER_ACME TO LOGIN_ROLE`, `REVOKE OWNER_ACME FROM LOGIN_ROLE`, "roles that are not tenants'"},
		{`ALTER ROLE LOGIN_ROLE INHERIT`, `ALTER ROLE LOGIN_ROLE NOINHERIT`, "inherits"},
	} {
		names := strings.NewReplacer("OWNER_ACME", f.ownerOf(t, "acme"), "LOGIN_ROLE", f.login, "DATABASE DB", "DATABASE "+f.DB.Name,
			"ACME", f.roleOf(t, "acme"), "BETA", f.roleOf(t, "beta"))
		_, err := f.root.ExecContext(t.Context(), names.Replace(tt.harm))
		require.NoError(t, err)
		err = s.Verify(t.Context())
		assert.ErrorIs(t, err, isolation.ErrUnsafe, tt.harm)
		assert.ErrorContains(t, err, tt.finding, tt.harm)
		_, err = f.root.ExecContext(t.Context(), names.Replace(tt.mend))
		require.NoError(t, err)
	}
	require.NoError(t, s.Verify(t.Context()))
}

// TestVerifyHoldsLoginRolesApart looks at what concerns the strong tier alone.
func TestVerifyHoldsLoginRolesApart(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t, f.loginRoles())
	db := open(t, s)
	provision(t, s, db, "acme")
	require.NoError(t, s.Verify(t.Context()))

	require.NoError(t, f.strategy(t).Provision(t.Context(), tenantOf("acme")), "back to the weaker tier")
	err := s.Verify(t.Context())
	require.ErrorIs(t, err, isolation.ErrUnsafe)
	require.ErrorContains(t, err, "can take on tenants' roles")
	require.NoError(t, s.Provision(t.Context(), tenantOf("acme")))
	require.NoError(t, s.Verify(t.Context()))
}

func TestUnsafeLoginRoleIsNotServed(t *testing.T) {
	t.Parallel()
	for _, attribute := range []string{"SUPERUSER", "BYPASSRLS", "CREATEROLE", "REPLICATION", "INHERIT"} {
		t.Run(attribute, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			s := f.strategy(t)
			require.NoError(t, s.Provision(t.Context(), tenantOf("acme")))
			_, err := f.root.ExecContext(t.Context(), `ALTER ROLE `+f.login+` `+attribute)
			require.NoError(t, err)
			_, err = open(t, s).ExecContext(in(t.Context(), "acme"), `SELECT 1`)
			require.ErrorIs(t, err, isolation.ErrUnsafe)
			assert.ErrorContains(t, err, "EnsureRole")
		})
	}
}
