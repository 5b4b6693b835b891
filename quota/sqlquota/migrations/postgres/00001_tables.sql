-- +goose Up

-- What tenants have used. Times are nanoseconds since 1970, of whole milliseconds.
-- The free space on each page lets updates stay on it and leave the index alone.
CREATE TABLE tenancy_quota_counters (
    tenant   text COLLATE "C" NOT NULL,
    kind     text COLLATE "C" NOT NULL CHECK (kind IN ('rate', 'concurrent', 'stock')),
    name     text COLLATE "C" NOT NULL, -- of the limit
    key      text COLLATE "C" NOT NULL, -- '' unless the limit is per key
    used     bigint NOT NULL,           -- units of a rate so far; it only grows
    arrival  bigint NOT NULL,           -- of a rate with a burst: theoretical time of the next unit
    kept     bigint NOT NULL,           -- units of a stock that stay
    windows  jsonb NOT NULL,            -- {"minute/rolling": [until, rolled, word, ...], ...}
    holders  jsonb NOT NULL,            -- {"process": [units, until], ...}
    fresh_at bigint,                    -- from then on the counter is as a new one; NULL for never
    PRIMARY KEY (tenant, kind, name, key)
) WITH (fillfactor = 70);

-- Answers to requests, for as long as those may be repeated: mostly a minute.
CREATE TABLE tenancy_quota_answers (
    tenant     text COLLATE "C" NOT NULL,
    id         text COLLATE "C" NOT NULL,
    expires_at bigint NOT NULL,
    answer     jsonb NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE INDEX tenancy_quota_answers_expiry ON tenancy_quota_answers (tenant, expires_at);

-- Every version of the catalog. The greatest counts.
CREATE TABLE tenancy_quota_catalogs (
    version  bigint PRIMARY KEY,
    document json NOT NULL
);

-- What tenants have beside their plans. Times are microseconds since 1970.
CREATE TABLE tenancy_quota_overrides (
    tenant     text COLLATE "C" NOT NULL,
    id         text COLLATE "C" NOT NULL,
    patch      json NOT NULL,
    reason     text COLLATE "C" NOT NULL,
    expires_at bigint,
    children   boolean NOT NULL,
    version    bigint NOT NULL,
    PRIMARY KEY (tenant, id)
);
