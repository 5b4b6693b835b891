package row

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

var errNoKeys = errors.New("isolation/row: this mode has no keys: choose row.Sealed or row.Signed")

// Rotate installs key, with the administrator's connector, and signs with it from then on.
// Nothing is interrupted: the database goes on accepting the keys before it, so other
// processes sign with theirs until they know the new one.
//
// From one key to the next, while several processes serve: Rotate in one of them, or
// Install with row.Sealed(next, current); start the others with the same option, one after
// the other; then [Strategy.Retire] the one before.
func (s *Strategy) Rotate(ctx context.Context, key Key) error {
	if s.keys == nil {
		return errNoKeys
	}
	if err := checkKeys([]Key{key}); err != nil {
		return err
	}
	err := s.administer(ctx, func(ctx context.Context, tx *sql.Tx, _ string) error {
		retired, err := installKey(ctx, tx, key)
		if err == nil && retired {
			err = retiredError(key)
		}
		return err
	})
	if err != nil {
		return err
	}
	s.keys.promote(key)
	return nil
}

// Retire takes a key out of the database, for good: what is signed with it is refused
// from then on, and its ID is never used again. A session that Sealed opened before
// keeps the tenant it has, and then accepts no other: the pool opens another session. With
// Signed, a REPEATABLE READ transaction that began before goes on to its end.
func (s *Strategy) Retire(ctx context.Context, id string) error {
	if s.keys == nil {
		return errNoKeys
	}
	if s.keys.signer().id == id {
		return fmt.Errorf("isolation/row: key %s signs: Rotate to another before it is retired", id)
	}
	err := s.administer(ctx, func(ctx context.Context, tx *sql.Tx, _ string) error {
		result, err := tx.ExecContext(ctx, `UPDATE tenancy.keys SET inner_pad = NULL, outer_pad = NULL, retired = coalesce(retired, now()) WHERE id = $1`, id)
		if err != nil {
			return fmt.Errorf("isolation/row: retire key %s: %w", id, err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(fmt.Errorf("isolation/row: there is no key %s", id), err)
		}
		return run(ctx, tx, s.mode.retire())
	})
	if err != nil {
		return err
	}
	s.keys.drop(id)
	return nil
}

// installKeys installs the keys that are missing. Of those that are retired, only the
// one that signs is missed.
func (s *Strategy) installKeys(ctx context.Context, tx *sql.Tx) error {
	if s.keys == nil {
		return nil
	}
	for i, key := range s.keys.all() {
		retired, err := installKey(ctx, tx, key)
		if err != nil {
			return err
		}
		if retired && i == 0 {
			return retiredError(key)
		}
	}
	return nil
}

func retiredError(key Key) error {
	return fmt.Errorf("isolation/row: %s is retired: sign with another", key)
}

// installKey tells the database of key, unless it is there, and reports whether it is
// retired.
func installKey(ctx context.Context, tx *sql.Tx, key Key) (retired bool, err error) {
	inner, outer := key.pads()
	var same bool
	err = tx.QueryRowContext(ctx, `
		WITH added AS (INSERT INTO tenancy.keys (id, inner_pad, outer_pad) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING RETURNING id)
		SELECT k.retired IS NOT NULL, (k.inner_pad = $2 AND k.outer_pad = $3) IS TRUE FROM tenancy.keys k WHERE k.id = $1
		UNION ALL SELECT false, true FROM added`, key.id, inner, outer).Scan(&retired, &same)
	switch {
	case err != nil:
		return false, fmt.Errorf("isolation/row: install %s: %w", key, err)
	case !retired && !same:
		return false, fmt.Errorf("isolation/row: %s is installed with other bytes: give the bytes that it was installed with, or a new key an ID of its own", key)
	}
	return retired, nil
}
