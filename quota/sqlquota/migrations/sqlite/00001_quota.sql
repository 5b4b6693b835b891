-- +goose Up

-- What tenants have used. Times are nanoseconds since 1970, of whole milliseconds.
CREATE TABLE tenancy_quota_counters (
    tenant   TEXT NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('rate', 'concurrent', 'stock')),
    name     TEXT NOT NULL,    -- of the limit
    key      TEXT NOT NULL,    -- '' unless the limit is per key
    used     INTEGER NOT NULL, -- units of a rate so far; it only grows
    arrival  INTEGER NOT NULL, -- of a rate with a burst: theoretical time of the next unit
    kept     INTEGER NOT NULL, -- units of a stock that stay
    windows  TEXT NOT NULL,    -- {"minute/rolling": [until, rolled, word, ...], ...}
    holders  TEXT NOT NULL,    -- {"process": [units, until], ...}
    fresh_at INTEGER,          -- from then on the counter is as a new one; NULL for never
    PRIMARY KEY (tenant, kind, name, key)
) WITHOUT ROWID;

CREATE INDEX tenancy_quota_counters_fresh ON tenancy_quota_counters (fresh_at) WHERE fresh_at IS NOT NULL;

-- Answers to requests, for as long as those may be repeated: mostly a minute.
CREATE TABLE tenancy_quota_answers (
    tenant     TEXT NOT NULL,
    id         TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    answer     TEXT NOT NULL, -- a JSON object
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

CREATE INDEX tenancy_quota_answers_expiry ON tenancy_quota_answers (expires_at);

-- Every version of the catalog. The greatest counts.
CREATE TABLE tenancy_quota_catalogs (
    version  INTEGER NOT NULL PRIMARY KEY,
    document TEXT NOT NULL -- a JSON object
);

-- What tenants have beside their plans. Times are microseconds since 1970.
CREATE TABLE tenancy_quota_overrides (
    tenant     TEXT NOT NULL,
    id         TEXT NOT NULL,
    patch      TEXT NOT NULL, -- a JSON object
    reason     TEXT NOT NULL,
    expires_at INTEGER,
    children   BOOLEAN NOT NULL,
    version    INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
