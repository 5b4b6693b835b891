package isolationtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

var transactionClauses = []clause{
	{name: "a transaction belongs to the tenant that began it", opts: conns(2), check: checkTxTenant},
	{name: "a transaction is not begun without a tenant", check: checkTxNoTenant},
	{name: "savepoints roll back inside the tenant's transaction", opts: conns(1), check: checkSavepoints},
	{name: "a committed transaction keeps the tenant's writes and no others", opts: conns(1), check: checkCommit},
	{name: "a rolled back transaction leaves nothing behind", opts: conns(1), check: checkRollback},
	{name: "a failed transaction leaves nothing behind", opts: conns(1), check: checkFailedTx},
	{name: "a panic in a transaction rolls it back", opts: conns(1), check: checkPanic},
	{name: "a transaction ends with its context", opts: conns(1), check: checkTxContext},
	{name: "a read-only transaction leaves nothing behind", needs: onPostgres, opts: conns(1), check: checkReadOnly},
	{name: "transactions of several tenants are separate", opts: conns(3), check: checkTxsAtOnce},
}

// errNoTenant shortens what most clauses want.
var errNoTenant = tenant.ErrNoTenant

func checkTxTenant(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	err = s.inTx(a.in(ctx), func(tx *sql.Tx) error {
		changed := func(what string, err error) error { return wantErr(what, err, isolation.ErrTenantChanged) }
		_, query := s.read(ctx, tx, b, allNotes)
		_, exec := s.exec(ctx, tx, b, "DELETE FROM tags")
		_, system := s.marks(tenant.System(ctx, "isolationtest"), tx, a, allNotes)
		return inOrder(
			func() error { return changed("a query for another tenant in a transaction", query) },
			func() error { return changed("a statement for another tenant in a transaction", exec) },
			func() error { return changed("a query of the system in a transaction", system) },
			func() error { return s.intactOn(ctx, tx, a) },
			func() error { return s.inherits(ctx, tx, a) },
			func() error { return s.addNote(ctx, tx, a, seeds+1) },
		)
	})
	if err != nil {
		return err
	}
	if err := s.expect(ctx, s.db, a, seeds+1, allNotes); err != nil {
		return err
	}
	return s.intact(ctx, b)
}

// inherits wants a statement without tenant to be g's, in g's transaction.
func (s *suite) inherits(ctx context.Context, tx *sql.Tx, g guest) error {
	n, err := s.marks(ctx, tx, g, allNotes)
	if err == nil && n != seeds {
		err = fmt.Errorf("read %d rows, want %d", n, seeds)
	}
	if err != nil {
		return fmt.Errorf("a statement without tenant in a transaction: %w", err)
	}
	return nil
}

func checkTxNoTenant(ctx context.Context, s *suite) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err == nil {
		err = errors.Join(errNone, tx.Rollback())
	}
	if err := wantErr("BeginTx without tenant", err, errNoTenant); err != nil {
		return err
	}
	if opened := s.Pool.Stats().Opened; opened != 0 {
		return fmt.Errorf("BeginTx without tenant opened %d connections", opened)
	}
	guests, err := s.invite(ctx, 1)
	if err != nil {
		return err
	}
	return s.intact(ctx, guests...)
}

func checkSavepoints(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	err = s.inTx(a.in(ctx), func(tx *sql.Tx) error {
		run := func(query string) func() error {
			return func() error { _, err := s.exec(ctx, tx, a, query); return err }
		}
		return inOrder(
			func() error { return s.addNote(ctx, tx, a, seeds+1) },
			run("SAVEPOINT one"),
			func() error { return s.addNote(ctx, tx, a, seeds+2) },
			run("SAVEPOINT two"),
			run("UPDATE notes SET version = 9"),
			func() error { _, err := s.exec(ctx, tx, a, wrong); return wantAnyErr(wrong, err) },
			run("ROLLBACK TO SAVEPOINT two"),
			func() error { return s.expect(ctx, tx, a, seeds+2, allNotes+" WHERE version = 0") },
			run("ROLLBACK TO SAVEPOINT one"),
			run("RELEASE SAVEPOINT one"),
			func() error { return s.expect(ctx, tx, a, seeds+1, allNotes) },
		)
	})
	if err != nil {
		return err
	}
	if err := s.intact(ctx, b); err != nil {
		return err
	}
	return s.expect(ctx, s.db, a, seeds+1, allNotes)
}

func checkCommit(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for n := 1; n <= 3; n++ {
		for _, g := range []guest{a, b} {
			err := s.inTx(g.in(ctx), func(tx *sql.Tx) error {
				if err := s.addNote(ctx, tx, g, seeds+n); err != nil {
					return err
				}
				return s.expect(ctx, tx, g, seeds+n, allNotes)
			})
			if err != nil {
				return err
			}
		}
	}
	for _, g := range []guest{a, b} {
		if err := s.affect(ctx, s.db, g, 3, "DELETE FROM notes WHERE id > ?", seeds); err != nil {
			return err
		}
	}
	return s.intact(ctx, a, b)
}

// rolledBack runs do in a transaction of g's that is then rolled back.
func (s *suite) rolledBack(ctx context.Context, g guest, do func(*sql.Tx) error) error {
	err := s.inTx(g.in(ctx), func(tx *sql.Tx) error {
		if err := do(tx); err != nil {
			return err
		}
		return errOnPurpose
	})
	if errors.Is(err, errOnPurpose) {
		return nil
	}
	return err
}

func checkRollback(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for _, g := range []guest{a, b, b, a} {
		err := s.rolledBack(ctx, g, func(tx *sql.Tx) error {
			return inOrder(
				func() error { return s.affect(ctx, tx, g, seeds, "UPDATE notes SET version = 7") },
				func() error { return s.affect(ctx, tx, g, seeds, "DELETE FROM tags") },
				func() error { return s.addNote(ctx, tx, g, seeds+1) },
				func() error { return s.expect(ctx, tx, g, seeds+1, allNotes) },
			)
		})
		if err != nil {
			return err
		}
		// The same tenant, then the other, then the same once more.
		if err := s.intact(ctx, g, a, b, g); err != nil {
			return err
		}
	}
	return nil
}

func checkFailedTx(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for _, commit := range []bool{true, false} {
		tx, err := s.db.BeginTx(a.in(ctx), nil)
		if err != nil {
			return err
		}
		if err := s.addNote(ctx, tx, a, seeds+1); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		_, err = s.exec(ctx, tx, a, wrong)
		if err := wantAnyErr(wrong, err); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		if err := s.endFailed(tx, commit); err != nil {
			return err
		}
		if err := s.intact(ctx, b, a); err != nil {
			return err
		}
	}
	return nil
}

// endFailed ends a transaction in which a statement failed. PostgreSQL must not
// commit it; SQLite would, and so rolls back.
func (s *suite) endFailed(tx *sql.Tx, commit bool) error {
	if !commit || s.Dialect == SQLite {
		return tx.Rollback()
	}
	return wantAnyErr("committing a failed transaction", tx.Commit())
}

func checkPanic(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for _, g := range []guest{a, b} {
		err := caught(func() error {
			return s.inTx(g.in(ctx), func(tx *sql.Tx) error {
				if _, err := s.exec(ctx, tx, g, "DELETE FROM tags"); err != nil {
					return err
				}
				return panics()
			})
		})
		if err != nil {
			return err
		}
		if err := s.intact(ctx, b, a); err != nil {
			return err
		}
	}
	return nil
}

// checkTxContext leaves a transaction without ending it: the end of its context
// must.
func checkTxContext(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for _, next := range []guest{b, a} {
		txCtx, cancel := context.WithCancel(ctx)
		tx, err := s.db.BeginTx(a.in(txCtx), nil)
		if err == nil {
			_, err = s.exec(ctx, tx, a, "DELETE FROM tags")
		}
		cancel()
		if err != nil {
			return err
		}
		// There is one connection, so this waits for the transaction's end.
		if err := s.intact(ctx, next, a, b); err != nil {
			return err
		}
		err = wantErr("committing after the context's end", tx.Commit(), sql.ErrTxDone)
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return nil
}

func checkTxsAtOnce(ctx context.Context, s *suite) error {
	guests, err := s.invite(ctx, 3)
	if err != nil {
		return err
	}
	txs := make([]*sql.Tx, len(guests))
	for i, g := range guests {
		if txs[i], err = s.db.BeginTx(g.in(ctx), nil); err != nil {
			return err
		}
		defer func() { _ = txs[i].Rollback() }() // an error after Commit
	}
	for n := seeds + 1; n <= seeds+3; n++ {
		for i, g := range guests {
			if err := s.addNote(ctx, txs[i], g, n); err != nil {
				return err
			}
			if err := s.expect(ctx, txs[i], g, n, allNotes); err != nil {
				return err
			}
		}
	}
	for i, g := range guests {
		if err := txs[i].Commit(); err != nil {
			return err
		}
		if err := s.expect(ctx, s.db, g, seeds+3, allNotes); err != nil {
			return err
		}
	}
	return nil
}

func checkReadOnly(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	tx, err := s.db.BeginTx(a.in(ctx), &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelSerializable})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // an error after Commit
	if err := s.intactOn(ctx, tx, a); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	for _, g := range []guest{a, b} {
		if err := s.affect(ctx, s.db, g, seeds, "UPDATE notes SET version = 0"); err != nil {
			return fmt.Errorf("after a read-only transaction: %w", err)
		}
	}
	return s.intact(ctx, a, b)
}
