-- +goose Up

-- Versions come from one sequence, so that none is used twice, not even for a tenant
-- that was removed and placed anew.
CREATE SEQUENCE tenancy_placement_versions;

CREATE TABLE tenancy_placements (
    tenant_id text COLLATE "C" PRIMARY KEY,
    cell      text COLLATE "C" NOT NULL,
    region    text COLLATE "C" NOT NULL, -- '' where it is not pinned
    state     text COLLATE "C" NOT NULL CHECK (state IN ('placed', 'moving', 'moved', 'leaving')),
    other     text COLLATE "C" NOT NULL, -- '' where there is none
    version   bigint NOT NULL
);

CREATE INDEX tenancy_placements_cell ON tenancy_placements (cell, tenant_id);
CREATE INDEX tenancy_placements_other ON tenancy_placements (other, tenant_id) WHERE other <> '';

-- +goose StatementBegin
CREATE FUNCTION tenancy_placements_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('tenancy_placements', CASE TG_LEVEL
        WHEN 'STATEMENT' THEN ''
        ELSE CASE TG_OP WHEN 'DELETE' THEN OLD.tenant_id ELSE NEW.tenant_id END
    END);
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER tenancy_placements_notify AFTER INSERT OR UPDATE OR DELETE ON tenancy_placements
    FOR EACH ROW EXECUTE FUNCTION tenancy_placements_notify();
CREATE TRIGGER tenancy_placements_notify_all AFTER TRUNCATE ON tenancy_placements
    FOR EACH STATEMENT EXECUTE FUNCTION tenancy_placements_notify();
