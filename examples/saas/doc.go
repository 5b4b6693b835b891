// Saas is a small white-label AI workspace, and a template for a SaaS of your own:
// tenants by subdomain and by path, sign-up that makes a tenant's home, conversations
// with local models, documents and usage.
//
//	go run ./examples/saas                                            # SQLite, a file per tenant
//	go run ./examples/saas -dir data                                  # kept in ./data
//	go run ./examples/saas -database postgres://… -isolation row      # or schema, or database
//	go run ./examples/saas -selftest                                  # drives itself over HTTP
//
// [Open] in app.go wires the SDK: registry, directory, gate, plans, strategy, pool.
// sqlite.go and postgres.go choose the databases, plans.json says what tenants may use.
// Package workspace is the product, in plain database/sql; no statement in it names a
// tenant. Package signup makes workspaces. Package web shows them.
//
// There is no sign-in: whoever knows an address is in. See authn for that.
package main
