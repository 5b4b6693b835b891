// Package fleet brings the homes of all tenants to the same schema, and tells which
// are not there.
//
//	migrations, err := fleet.Load(files)                            // 00001_orders.sql, …
//	ledger, err := fleet.NewLedger(control, fleet.OnPostgres)       // the platform's own database
//	err = ledger.Migrate(ctx)
//	f, err := fleet.New(strategy, ledger, migrations, fleet.Workers(8))
//	report, err := f.Run(ctx, fleet.All(ctx, store, tenant.Query{}))
//
// It works with every strategy of this module, and with several of them behind one
// that routes. Where tenants share their tables, these are one home, migrated once.
//
// # What a run guarantees
//
// A migration is one transaction in each home, which records the version in the home
// itself, in the same table as the strategy's own Migrate does. So a migration that
// fails half-way leaves its tenant at the version before, and none is applied twice,
// wherever a run is killed: the ledger in the control database is written afterwards,
// and only spares later runs the visit. To resume, run again.
//
// A file marked "-- +goose NO TRANSACTION", for CREATE INDEX CONCURRENTLY and the
// like, cannot have that. After a failure the statements before the failed one stay,
// the tenant is at the version before, and the next run goes on with the failed
// statement. If the process is killed, or the control database is lost, while such a
// statement runs, it is run once more: write it so that this does no harm. Timeouts
// are not set for such a file. What it sets on its session ends with it.
//
// Waits for locks are bounded, since everyone else queues behind a migration that
// waits. What may go away by itself is tried again after a while. A home that keeps
// failing is put into quarantine and left alone until [Ledger.Release].
//
// # What the ledger knows
//
// A home is known by a key that changes when it is removed and made again, so that a
// new home under an old name is visited. A database that was restored from a backup
// keeps its key under some circumstances: use [Recheck] then.
//
// # Which code meets which version
//
// While a run is under way, tenants are at different versions. Write each migration so
// that the code before it goes on working, deploy the code that needs it behind a
// [Gate], and take away what is no longer used in a later migration.
package fleet
