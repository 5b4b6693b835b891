-- +goose Up

-- Times are microseconds since 1970, UTC.
CREATE TABLE tenancy_tenants (
    id            TEXT NOT NULL PRIMARY KEY,
    slug          TEXT NOT NULL,
    name          TEXT NOT NULL,
    contact_name  TEXT NOT NULL,
    contact_email TEXT NOT NULL,
    contact_phone TEXT NOT NULL,
    plan          TEXT NOT NULL,
    status        TEXT NOT NULL,
    region        TEXT NOT NULL,
    parent        TEXT NOT NULL, -- '' at the top
    settings      TEXT NOT NULL, -- a JSON object
    version       INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    deleted_at    INTEGER,
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
    kind      TEXT NOT NULL CHECK (kind IN ('slug', 'domain')),
    name      TEXT NOT NULL,
    tenant_id TEXT NOT NULL REFERENCES tenancy_tenants (id),
    until     INTEGER,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;

CREATE INDEX tenancy_tenant_names_tenant ON tenancy_tenant_names (tenant_id, kind);

-- The last thousand changes, for those who watch.
CREATE TABLE tenancy_tenant_changes (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id TEXT NOT NULL
);

-- +goose StatementBegin
CREATE TRIGGER tenancy_tenants_inserted AFTER INSERT ON tenancy_tenants BEGIN
    INSERT INTO tenancy_tenant_changes (tenant_id) VALUES (NEW.id);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tenancy_tenants_updated AFTER UPDATE ON tenancy_tenants BEGIN
    INSERT INTO tenancy_tenant_changes (tenant_id) VALUES (NEW.id);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tenancy_tenants_removed AFTER DELETE ON tenancy_tenants BEGIN
    INSERT INTO tenancy_tenant_changes (tenant_id) VALUES (OLD.id);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tenancy_tenant_changes_trimmed AFTER INSERT ON tenancy_tenant_changes BEGIN
    DELETE FROM tenancy_tenant_changes WHERE seq <= NEW.seq - 1000;
END;
-- +goose StatementEnd
