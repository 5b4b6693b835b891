// Package pglisten follows a channel of PostgreSQL's NOTIFY for as long as it takes.
//
//	err := pglisten.Follow(ctx, dsn, "tenancy_tenants", func(n pglisten.Notice) {
//		if n.Gap {
//			… // listening from now on; something may have been missed before
//		}
//		… // n.Payload
//	})
//
// It uses a connection of its own, which must reach the server itself, not a pooler in
// transaction mode.
package pglisten
