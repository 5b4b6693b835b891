package row

import (
	"context"
	"database/sql/driver"
	"time"

	"github.com/lib/pq"

	"github.com/tenancy-go/tenancy/isolation/internal/pgsession"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/tenant"
)

// plain is the mode that keeps the tenant in a setting.
type plain struct{}

func (plain) name() string { return modePlain }

func (plain) private() []relation { return nil }

func (plain) admit(context.Context, driver.Conn) error { return nil }

func (plain) renewAfter() time.Duration { return 0 }

func (plain) retire() []string { return nil }

// enter relies on SET, not on set_config, which is a whole SELECT to plan.
func (plain) enter(ctx context.Context, conn driver.Conn, id tenant.ID, limits *pgsession.Settings) error {
	return pgsession.Confine(ctx, conn, "SET tenancy.tenant = "+pq.QuoteLiteral(id.String())+";"+limits.Text)
}

// ride is what enter does, for the flight of the next statement. It is not prepared
// under a name, as in confining.
func (plain) ride(_ driver.Conn, id tenant.ID) postgres.Entry {
	return postgres.Entry{Keep: true, Statements: []postgres.Statement{{
		Query: "SELECT tenancy.clear(), pg_catalog.set_config('tenancy.tenant', $1, false)",
		Args:  []string{id.String()},
	}}}
}

// local gives the tenant to one transaction. Should the server evaluate the two the
// other way round, there is no tenant.
func (plain) local(_ driver.Conn, id tenant.ID, limits *pgsession.Settings) postgres.Entry {
	return postgres.Entry{Local: true, Statements: []postgres.Statement{{
		Query: "SELECT tenancy.clear(), pg_catalog.set_config('tenancy.tenant', $1, true)" + limits.Local,
		Args:  []string{id.String()},
	}}}
}

// functions are plpgsql: a function in SQL would be planned anew in each
// statement. They are STABLE, since what an IMMUTABLE one returned would stay in
// cached plans when the tenant changes. They are PARALLEL SAFE, since workers
// get the leader's settings. Their names are qualified down to the operators, so
// that a search_path means nothing to them.
func (plain) functions() []function {
	return []function{
		{name: "current_tenant", returns: "text", parallel: "SAFE", volatility: "STABLE", body: `
DECLARE
  id pg_catalog.text := pg_catalog.current_setting('tenancy.tenant', true);
BEGIN
  IF id OPERATOR(pg_catalog.<>) '' THEN
    RETURN id;
  END IF;
  RAISE EXCEPTION 'tenancy: no tenant is set on this session' USING ERRCODE = '42501';
END`},
		{name: "current_tenant_uuid", returns: "uuid", parallel: "SAFE", volatility: "STABLE", body: uuidBody},
	}
}

// uuidBody reads the tenant as a UUID. PostgreSQL reads one UUID from several
// spellings, which are different tenants, so only its own spelling passes.
const uuidBody = `
DECLARE
  id pg_catalog.text := tenancy.current_tenant();
BEGIN
  IF id::pg_catalog.uuid::pg_catalog.text OPERATOR(pg_catalog.=) id THEN
    RETURN id::pg_catalog.uuid;
  END IF;
  RAISE EXCEPTION 'tenancy: tenant % is not a UUID as PostgreSQL writes it', id USING ERRCODE = '42501';
END`
