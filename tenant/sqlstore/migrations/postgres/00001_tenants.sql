-- +goose Up

-- Text is in collation "C": its order is that of bytes, lower() changes ASCII
-- letters alone, and indexes do not depend on the system's locales.
CREATE TABLE tenancy_tenants (
    id            text COLLATE "C" PRIMARY KEY,
    slug          text COLLATE "C" NOT NULL,
    name          text COLLATE "C" NOT NULL,
    contact_name  text COLLATE "C" NOT NULL,
    contact_email text COLLATE "C" NOT NULL,
    contact_phone text COLLATE "C" NOT NULL,
    plan          text COLLATE "C" NOT NULL,
    status        text COLLATE "C" NOT NULL,
    region        text COLLATE "C" NOT NULL,
    parent        text COLLATE "C" NOT NULL, -- '' at the top
    settings      jsonb NOT NULL,
    version       bigint NOT NULL,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    deleted_at    timestamptz,
    CHECK ((status = 'deleted') = (deleted_at IS NOT NULL))
);

-- One index per order of a list, and one for the children of a tenant.
CREATE INDEX tenancy_tenants_slug ON tenancy_tenants (slug, id);
CREATE INDEX tenancy_tenants_name ON tenancy_tenants (name, id);
CREATE INDEX tenancy_tenants_created ON tenancy_tenants (created_at, id);
CREATE INDEX tenancy_tenants_updated ON tenancy_tenants (updated_at, id);
CREATE INDEX tenancy_tenants_parent ON tenancy_tenants (parent, id) WHERE parent <> '';

-- Who has which slug and domain. A deleted tenant keeps its slug until then.
CREATE TABLE tenancy_tenant_names (
    kind      text COLLATE "C" NOT NULL CHECK (kind IN ('slug', 'domain')),
    name      text COLLATE "C" NOT NULL,
    tenant_id text COLLATE "C" NOT NULL REFERENCES tenancy_tenants (id),
    until     timestamptz,
    PRIMARY KEY (kind, name)
);

CREATE INDEX tenancy_tenant_names_tenant ON tenancy_tenant_names (tenant_id, kind);

-- +goose StatementBegin
CREATE FUNCTION tenancy_tenants_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('tenancy_tenants', CASE TG_LEVEL
        WHEN 'STATEMENT' THEN ''
        ELSE CASE TG_OP WHEN 'DELETE' THEN OLD.id ELSE NEW.id END
    END);
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER tenancy_tenants_notify AFTER INSERT OR UPDATE OR DELETE ON tenancy_tenants
    FOR EACH ROW EXECUTE FUNCTION tenancy_tenants_notify();
CREATE TRIGGER tenancy_tenants_notify_all AFTER TRUNCATE ON tenancy_tenants
    FOR EACH STATEMENT EXECUTE FUNCTION tenancy_tenants_notify();
