-- +goose Up
CREATE TABLE customers (
	id         INTEGER   PRIMARY KEY AUTOINCREMENT,
	name       TEXT      NOT NULL,
	email      BLOB,     -- sealed with the tenant's own key
	created_at TIMESTAMP NOT NULL
);
