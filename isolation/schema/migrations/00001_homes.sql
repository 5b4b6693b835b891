-- +goose Up
CREATE TABLE tenancy.homes (
	tenant_id   text PRIMARY KEY,
	schema_name text NOT NULL UNIQUE,
	role_name   text NOT NULL UNIQUE,
	owner_name  text NOT NULL UNIQUE,
	created_at  timestamptz NOT NULL DEFAULT pg_catalog.now(),
	ready_at    timestamptz -- null while the home is unfinished
);
REVOKE ALL ON tenancy.homes FROM PUBLIC;

-- +goose StatementBegin
CREATE FUNCTION tenancy.home_of(id text)
RETURNS TABLE (schema_name text, role_name text, schema_oid oid, role_oid oid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT h.schema_name, h.role_name, n.oid, r.oid
	FROM tenancy.homes h
	JOIN pg_catalog.pg_namespace n ON n.nspname = h.schema_name
	JOIN pg_catalog.pg_roles r ON r.rolname = h.role_name
	WHERE h.tenant_id = id AND h.ready_at IS NOT NULL
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION tenancy.home_of(text) FROM PUBLIC;
