-- +goose Up
CREATE TABLE tenancy_fleet_homes (
	home_key     text PRIMARY KEY,                -- isolation.Home.Key: a home made anew has another
	tenant_id    text NOT NULL,                   -- '' if tenants share the home
	place        text NOT NULL,                   -- isolation.Place.Key of the tenants that share it, else ''
	kind         text NOT NULL,
	version      bigint NOT NULL DEFAULT 0,       -- all migrations up to this one are applied
	checksum     text NOT NULL DEFAULT '',        -- of these
	state        text NOT NULL CHECK (state IN ('running', 'migrated', 'failed', 'quarantined')),
	error        text NOT NULL DEFAULT '',        -- of the last run
	attempts     int NOT NULL DEFAULT 0,          -- runs that failed since the last that did not
	step_version bigint NOT NULL DEFAULT 0,       -- a NO TRANSACTION file that is under way
	steps_done   int NOT NULL DEFAULT 0,          -- its statements that are applied
	steps_sum    text NOT NULL DEFAULT '',        -- of these
	started_at   timestamptz NOT NULL,
	finished_at  timestamptz
);
CREATE INDEX tenancy_fleet_homes_tenant ON tenancy_fleet_homes (tenant_id) WHERE tenant_id <> '';
CREATE INDEX tenancy_fleet_homes_place ON tenancy_fleet_homes (place) WHERE place <> '';
