// Package pghome has what strategies that give each tenant a home of its own on
// PostgreSQL share: names, locks, short-lived connections, and the check that a
// role may not step out of its home.
package pghome
