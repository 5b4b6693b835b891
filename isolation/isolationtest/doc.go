// Package isolationtest checks that a strategy isolates tenants: its clauses run
// statements through a pool as several tenants and look for rows, settings and
// locks that reached the wrong one.
//
//	func TestStrategy(t *testing.T) {
//		strategy := … // over a real database, with the suite's tables
//		isolationtest.TestStrategy(t, func(t *testing.T, opts ...isolation.Option) isolationtest.Target {
//			pool, err := isolation.New(strategy, opts...)
//			require.NoError(t, err)
//			return isolationtest.Target{
//				Pool:        pool,
//				Provision:   strategy.Provision,
//				Deprovision: strategy.Deprovision,
//				Shared:      true,
//				Kill:        func(ctx context.Context) error { … },
//			}
//		})
//	}
//
// # Tables
//
// The strategy brings the suite's tables to the database, through its option
// Migrations: [SharedTables] where tenants share tables, [OwnTables] where each
// has its own. The shared ones leave to the strategy what it does to a host's
// tables: row-level security and grants on notes and tags, and a default for
// tenant_id. Everyone may select from the view labels, which runs with the rights
// of whoever reads it.
//
// # What it relies on
//
// The suite opens a target for each clause, one after the other, and closes its
// pool. Further targets are opened while the clause's is, and must see its tenants,
// so all targets share one database, and best one strategy, too. No tenant's ID is
// used in two clauses.
//
// # What it finds
//
// All tenants have the same keys, so that whatever is not confined clashes or
// leaks, and each row carries the ID of its tenant. A row that reached another
// tenant is reported as [ErrLeak]. A clause also fails if the tenant's own rows are
// not what they must be, and if it saw no rows at all.
package isolationtest
