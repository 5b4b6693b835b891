-- +goose Up
CREATE TABLE orders (
	id          INTEGER PRIMARY KEY AUTOINCREMENT,
	customer_id INTEGER NOT NULL REFERENCES customers (id),
	item        TEXT    NOT NULL,
	cents       INTEGER NOT NULL
);
CREATE INDEX orders_customer ON orders (customer_id);
