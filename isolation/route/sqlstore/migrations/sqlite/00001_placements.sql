-- +goose Up

CREATE TABLE tenancy_placements (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    cell      TEXT NOT NULL,
    region    TEXT NOT NULL, -- '' where it is not pinned
    state     TEXT NOT NULL CHECK (state IN ('placed', 'moving', 'moved', 'leaving')),
    other     TEXT NOT NULL, -- '' where there is none
    version   INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX tenancy_placements_cell ON tenancy_placements (cell, tenant_id);
CREATE INDEX tenancy_placements_other ON tenancy_placements (other, tenant_id) WHERE other <> '';

-- The last thousand changes, for those who watch. AUTOINCREMENT counts them all, so it
-- gives versions that are never used twice.
CREATE TABLE tenancy_placement_changes (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id TEXT NOT NULL
);

-- +goose StatementBegin
CREATE TRIGGER tenancy_placements_inserted AFTER INSERT ON tenancy_placements BEGIN
    INSERT INTO tenancy_placement_changes (tenant_id) VALUES (NEW.tenant_id);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tenancy_placements_updated AFTER UPDATE ON tenancy_placements BEGIN
    INSERT INTO tenancy_placement_changes (tenant_id) VALUES (NEW.tenant_id);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tenancy_placements_removed AFTER DELETE ON tenancy_placements BEGIN
    INSERT INTO tenancy_placement_changes (tenant_id) VALUES (OLD.tenant_id);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tenancy_placement_changes_trimmed AFTER INSERT ON tenancy_placement_changes BEGIN
    DELETE FROM tenancy_placement_changes WHERE seq <= NEW.seq - 1000;
END;
-- +goose StatementEnd
