-- The tables of all tenants together, for row isolation on PostgreSQL. Every key
-- leads with the tenant, so that a tenant's rows lie side by side and a reference
-- cannot point into another tenant.

-- +goose Up
CREATE TABLE conversations (
    tenant_id  TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    title      TEXT    NOT NULL,
    model      TEXT    NOT NULL,
    messages   INTEGER NOT NULL DEFAULT 0,
    created_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX conversations_recent ON conversations (tenant_id, updated_at, id);

CREATE TABLE messages (
    tenant_id       TEXT    NOT NULL,
    conversation_id TEXT    NOT NULL,
    position        INTEGER NOT NULL,
    role            TEXT    NOT NULL CHECK (role IN ('user', 'assistant')),
    model           TEXT    NOT NULL,
    body            TEXT    NOT NULL,
    created_at      BIGINT  NOT NULL,
    PRIMARY KEY (tenant_id, conversation_id, position),
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE documents (
    tenant_id  TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    title      TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    summary    TEXT    NOT NULL DEFAULT '',
    words      INTEGER NOT NULL,
    created_at BIGINT  NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX documents_recent ON documents (tenant_id, created_at, id);

CREATE TABLE usage_events (
    tenant_id  TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    day        TEXT    NOT NULL,
    kind       TEXT    NOT NULL CHECK (kind IN ('prompt', 'summary', 'document')),
    model      TEXT    NOT NULL,
    words_in   INTEGER NOT NULL,
    words_out  INTEGER NOT NULL,
    created_at BIGINT  NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX usage_events_day ON usage_events (tenant_id, day, model, kind);

-- +goose Down
DROP TABLE usage_events;
DROP TABLE documents;
DROP TABLE messages;
DROP TABLE conversations;
