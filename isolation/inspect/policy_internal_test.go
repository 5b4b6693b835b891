package inspect

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestBind(t *testing.T) {
	t.Parallel()
	tests := []struct {
		condition string
		want      binding
	}{
		{condition: `(tenant_id = ( SELECT tenancy.current_tenant() AS current_tenant))`, want: bound},
		{condition: `((tenant_id)::text = ( SELECT tenancy.current_tenant() AS current_tenant))`, want: bound},
		{condition: `(( SELECT tenancy.current_tenant() AS current_tenant) = tenant_id)`, want: bound},
		{condition: `(orders.tenant_id = CURRENT_USER)`, want: bound},
		{condition: `(tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)`, want: bound},
		{condition: `(tenant_id = ANY (string_to_array(current_setting('app.tenants'::text), ','::text)))`, want: bound},
		{condition: `(tenant_id OPERATOR(public.=) (current_setting('app.tenant'::text))::public.citext)`, want: bound},
		{condition: "(tenant_id IN ( SELECT m.tenant_id\n   FROM members m\n  WHERE (m.login = app.login())))", want: bound},
		{condition: `((deleted IS NULL) AND (tenant_id = app.tenant()))`, want: bound},
		{condition: `((tenant_id = app.tenant()) AND ((public = true) OR (owner = 'x'::text)))`, want: bound},
		{condition: `((tenant_id = app.tenant()) OR (tenant_id = app.parent()))`, want: bound},
		{condition: `(CASE WHEN (a AND b) THEN 1 ELSE 2 END = 1)`, want: unbound},

		{condition: `((current_setting('app.tenant'::text, true) IS NULL) OR (tenant_id = app.tenant()))`, want: failsOpen},
		{condition: `((tenant_id = app.tenant()) OR (title ~~ 'b%'::text))`, want: failsOpen},
		{condition: `((tenant_id = app.tenant()) OR ((a = 1) AND ((tenant_id = app.tenant()) OR true)))`, want: failsOpen},
		{condition: `(tenant_id = COALESCE(app.tenant(), tenant_id))`, want: failsOpen},
		{condition: `(tenant_id = tenant_id)`, want: failsOpen},
		{condition: `(tenant_id = ( SELECT orders.tenant_id))`, want: failsOpen},

		{condition: `true`, want: unbound},
		{condition: ``, want: unbound},
		{condition: `(tenant_id = 'acme'::text)`, want: unbound},
		{condition: `(tenant_id = 'f()'::character varying(20))`, want: unbound},
		{condition: `(tenant_id <> app.tenant())`, want: unbound},
		{condition: `(NOT (tenant_id = app.tenant()))`, want: unbound},
		{condition: `(my_tenant_id = app.tenant())`, want: unbound},
		{condition: `(title = 'x) OR (tenant_id = app.tenant()'::text)`, want: unbound},
		{condition: `(title = 'it''s AND tenant_id = app.tenant()'::text)`, want: unbound},
		{condition: `(owner = app.tenant())`, want: unbound},
		{condition: strings.Repeat("(a AND ", 500) + `(tenant_id = app.tenant())` + strings.Repeat(")", 500), want: unbound},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, bind(tt.condition, "tenant_id"), tt.condition)
	}
	assert.Equal(t, bound, bind(`("Tenant" = ( SELECT f() AS f))`, `"Tenant"`))
	assert.Equal(t, failsOpen, bind(`("Tenant" = COALESCE(f(), "Tenant"))`, `"Tenant"`))
}

// FuzzBind wants what must always hold: an operand more in a conjunction never
// opens it, and an exception always does.
func FuzzBind(f *testing.F) {
	for _, seed := range []string{"true", "(a = 1)", "((a = 'x'::text) AND (b IS NULL))", "((tenant_id = f()) OR (a = 1))", "'", "((", "a)) OR ((b", `"x`, "tenant_id", "tenant_id = 0("} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, condition string) {
		got := bind(condition, "tenant_id")
		if closing("("+condition+")") != len(condition)+1 {
			return // no expression that PostgreSQL would write
		}
		assert.Equal(t, got, bind("("+condition+")", "tenant_id"))
		assert.Equal(t, bound, bind("((tenant_id = f()) AND ("+condition+"))", "tenant_id"))
		if got == unbound {
			assert.Equal(t, failsOpen, bind("((tenant_id = f()) OR ("+condition+"))", "tenant_id"))
		}
	})
}
