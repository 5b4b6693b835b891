-- +goose Up

-- A row for each tenant that has keys, or had. Whoever adds or destroys keys locks it.
CREATE TABLE tenancy_envelope_tenants (
    tenant_id   text COLLATE "C" PRIMARY KEY,
    shredded_at timestamptz, -- NULL: not
    reason      text NOT NULL DEFAULT ''
);

CREATE INDEX tenancy_envelope_tenants_shredded ON tenancy_envelope_tenants (tenant_id) WHERE shredded_at IS NOT NULL;

CREATE TABLE tenancy_envelope_keys (
    tenant_id  text COLLATE "C" NOT NULL REFERENCES tenancy_envelope_tenants (tenant_id),
    purpose    text COLLATE "C" NOT NULL,
    version    bigint NOT NULL CHECK (version BETWEEN 1 AND 4294967295),
    key_id     text NOT NULL,
    wrapped    bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, purpose, version)
);
