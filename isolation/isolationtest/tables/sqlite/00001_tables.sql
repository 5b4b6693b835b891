-- +goose Up
CREATE TABLE notes (
	id      INTEGER PRIMARY KEY,
	title   TEXT    NOT NULL UNIQUE,
	body    TEXT    NOT NULL,
	version INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE tags (
	note_id INTEGER NOT NULL REFERENCES notes (id),
	name    TEXT    NOT NULL,
	PRIMARY KEY (note_id, name)
);

CREATE VIEW labels AS
SELECT n.id, n.body, t.name FROM notes n JOIN tags t ON t.note_id = n.id;
