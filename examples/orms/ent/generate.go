// Package ent holds the client that ent generates from the schema beside it.
package ent

//go:generate go run -mod=mod entgo.io/ent/cmd/ent@v0.14.5 generate ./schema
