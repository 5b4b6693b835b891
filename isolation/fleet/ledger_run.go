package fleet

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"time"
	"unicode/utf8"
)

// digest stands for a home's key, so that 100,000 of them take little memory.
type digest [16]byte

func digestOf(key string) digest {
	sum := sha256.Sum256([]byte(key))
	return digest(sum[:16])
}

// known is what a run remembers of a home.
type known struct {
	version int64
	sum     digest // of the checksum
	kind    Kind
	state   State
}

// load reads the whole ledger in one query: about 100 bytes for each home.
func (l *Ledger) load(ctx context.Context) (map[digest]known, error) {
	rows, err := l.db.QueryContext(ctx, "SELECT home_key, kind, version, checksum, state FROM tenancy_fleet_homes")
	if err != nil {
		return nil, failed(ctx, "read the ledger (Ledger.Migrate makes it)", err)
	}
	defer rows.Close() // rows.Err tells
	homes := map[digest]known{}
	for rows.Next() {
		var key, kind, checksum, state string
		var k known
		if err := rows.Scan(&key, &kind, &k.version, &checksum, &state); err != nil {
			return nil, failed(ctx, "read the ledger", err)
		}
		k.sum, k.kind, k.state = digestOf(checksum), intern(kinds, Kind(kind)), intern(states, State(state))
		homes[digestOf(key)] = k
	}
	if err := rows.Err(); err != nil {
		return nil, failed(ctx, "read the ledger", err)
	}
	return homes, nil
}

var states = []State{Running, Migrated, Failed, Quarantined}

// intern returns the element of all that equals v, which keeps v's own memory free.
func intern[T comparable](all []T, v T) T {
	for _, one := range all {
		if one == v {
			return one
		}
	}
	return v
}

// progress is how far a NO TRANSACTION file has come in a home.
type progress struct {
	version int64
	done    int
	sum     string // of the statements that are done
}

// begin notes that a home is visited. A quarantined home is an error wrapping
// ErrQuarantined. Older homes of the same tenant are forgotten.
func (l *Ledger) begin(ctx context.Context, v *visit) (progress, error) {
	const query = `INSERT INTO tenancy_fleet_homes (home_key, tenant_id, place, kind, state, started_at) VALUES (?, ?, ?, ?, 'running', ?)
		ON CONFLICT (home_key) DO UPDATE SET state = 'running', tenant_id = excluded.tenant_id, place = excluded.place,
			kind = excluded.kind, started_at = excluded.started_at
		WHERE tenancy_fleet_homes.state <> 'quarantined'
		RETURNING step_version, steps_done, steps_sum, finished_at IS NULL`
	var p progress
	var first bool
	err := l.db.QueryRowContext(ctx, l.db.Rebind(query), v.home.Key, string(v.owner), v.place, string(v.kind), l.stamp(time.Now())).
		Scan(&p.version, &p.done, &p.sum, &first)
	if errors.Is(err, sql.ErrNoRows) {
		return p, ErrQuarantined
	}
	if err != nil {
		return p, failed(ctx, "note that a home is visited", err)
	}
	if first {
		err = l.forgetEarlier(ctx, v)
	}
	return p, err
}

// forgetEarlier removes homes that v's has taken the place of.
func (l *Ledger) forgetEarlier(ctx context.Context, v *visit) error {
	column, value := "tenant_id", string(v.owner)
	if v.home.Shared {
		column, value = "place", v.place
	}
	if value == "" {
		return nil
	}
	_, err := l.update(ctx, "forget an earlier home",
		"DELETE FROM tenancy_fleet_homes WHERE "+column+" = ? AND home_key <> ?", value, v.home.Key)
	return err
}

// advance notes how far a NO TRANSACTION file has come.
func (l *Ledger) advance(ctx context.Context, key string, p progress) error {
	_, err := l.update(ctx, "note progress",
		"UPDATE tenancy_fleet_homes SET step_version = ?, steps_done = ?, steps_sum = ? WHERE home_key = ?", p.version, p.done, p.sum, key)
	return err
}

// reached notes that a home has all migrations up to version and nothing is left to
// do.
func (l *Ledger) reached(ctx context.Context, key string, version int64, checksum string) error {
	_, err := l.update(ctx, "note that a home is migrated",
		`UPDATE tenancy_fleet_homes SET state = 'migrated', version = ?, checksum = ?, error = '', attempts = 0, finished_at = ?
		WHERE home_key = ?`, version, checksum, l.stamp(time.Now()), key)
	return err
}

// maxError bounds an error's text in the ledger, in bytes.
const maxError = 2000

// fell notes that a home could not be migrated, and reports whether it is
// quarantined from now on: after quarantineAfter failures in a row, if not 0. Of a
// home that could not be entered, the version stays as it was noted.
func (l *Ledger) fell(ctx context.Context, key string, v *visit, why error, quarantineAfter int) (bool, error) {
	text := why.Error()
	for len(text) > maxError || !utf8.ValidString(text) {
		text = text[:min(len(text)-1, maxError)]
	}
	set, args := "", []any(nil)
	if v.measured {
		set, args = "version = ?, checksum = ?, ", []any{v.version, v.checksum}
	}
	query := "UPDATE tenancy_fleet_homes SET " + set + `error = ?, attempts = attempts + 1, finished_at = ?,
		state = CASE WHEN ? > 0 AND attempts + 1 >= ? THEN 'quarantined' ELSE 'failed' END
		WHERE home_key = ? AND state <> 'quarantined' RETURNING state`
	args = append(args, text, l.stamp(time.Now()), quarantineAfter, quarantineAfter, key)
	var state State
	err := l.db.QueryRowContext(ctx, l.db.Rebind(query), args...).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil // nothing is known of it yet
	}
	if err != nil {
		return false, failed(ctx, "note that a home failed", err)
	}
	return state == Quarantined, nil
}
