-- The tables of one tenant, in a schema, database or file of its own.
-- Times are microseconds since 1970 (UTC), so that the same statements read
-- alike on PostgreSQL and SQLite.

-- +goose Up
CREATE TABLE conversations (
    id         TEXT    NOT NULL PRIMARY KEY,
    title      TEXT    NOT NULL,
    model      TEXT    NOT NULL,
    messages   INTEGER NOT NULL DEFAULT 0,
    created_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL
);
CREATE INDEX conversations_recent ON conversations (updated_at, id);

CREATE TABLE messages (
    conversation_id TEXT    NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    position        INTEGER NOT NULL,
    role            TEXT    NOT NULL CHECK (role IN ('user', 'assistant')),
    model           TEXT    NOT NULL,
    body            TEXT    NOT NULL,
    created_at      BIGINT  NOT NULL,
    PRIMARY KEY (conversation_id, position)
);

CREATE TABLE documents (
    id         TEXT    NOT NULL PRIMARY KEY,
    title      TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    summary    TEXT    NOT NULL DEFAULT '',
    words      INTEGER NOT NULL,
    created_at BIGINT  NOT NULL
);
CREATE INDEX documents_recent ON documents (created_at, id);

CREATE TABLE usage_events (
    id         TEXT    NOT NULL PRIMARY KEY,
    day        TEXT    NOT NULL,
    kind       TEXT    NOT NULL CHECK (kind IN ('prompt', 'summary', 'document')),
    model      TEXT    NOT NULL,
    words_in   INTEGER NOT NULL,
    words_out  INTEGER NOT NULL,
    created_at BIGINT  NOT NULL
);
CREATE INDEX usage_events_day ON usage_events (day, model, kind);

-- +goose Down
DROP TABLE usage_events;
DROP TABLE documents;
DROP TABLE messages;
DROP TABLE conversations;
