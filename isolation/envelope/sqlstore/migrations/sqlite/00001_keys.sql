-- +goose Up

-- Times are microseconds since 1970, UTC. A row for each tenant that has keys, or had.
CREATE TABLE tenancy_envelope_tenants (
    tenant_id   TEXT NOT NULL PRIMARY KEY,
    shredded_at INTEGER, -- NULL: not
    reason      TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

CREATE INDEX tenancy_envelope_tenants_shredded ON tenancy_envelope_tenants (tenant_id) WHERE shredded_at IS NOT NULL;

CREATE TABLE tenancy_envelope_keys (
    tenant_id  TEXT NOT NULL REFERENCES tenancy_envelope_tenants (tenant_id),
    purpose    TEXT NOT NULL,
    version    INTEGER NOT NULL CHECK (version BETWEEN 1 AND 4294967295),
    key_id     TEXT NOT NULL,
    wrapped    BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, purpose, version)
) WITHOUT ROWID;
