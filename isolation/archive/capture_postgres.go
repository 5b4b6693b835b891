package archive

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// pgCapture records by triggers. Each writing transaction holds a shared advisory
// lock from its first write to its end, and only then looks at the gate; freezing
// shuts the gate and then waits for the lock. So whoever looked in time is waited
// for, and whoever comes later finds it shut.
//
// The gate is a sequence: its value is no matter of snapshots, so a transaction that
// began under REPEATABLE READ long before sees it shut as well.
type pgCapture struct {
	schema string // quoted
	base   string // begins the names of what is made
	shared bool
	id     tenant.ID
	tables []*table
	lock   int64
}

const (
	gateOpen = 1
	gateShut = 2
)

func (c *pgCapture) name(suffix string) string { return c.schema + "." + quote(c.base+suffix) }

// function is the name of a table's trigger function.
func (c *pgCapture) function(t *table) string {
	sum := sha256.Sum256([]byte(t.ref))
	return c.name("_" + hex.EncodeToString(sum[:6]))
}

// ddlPatience is how long a statement waits for a table that is in use: everyone
// else waits behind it meanwhile.
const ddlPatience = `SET lock_timeout = '2s'`

func (c *pgCapture) install(ctx context.Context, conn *sql.Conn) error {
	statements := []string{
		ddlPatience,
		"CREATE SEQUENCE IF NOT EXISTS " + c.name("_gate"),
		"CREATE TABLE IF NOT EXISTS " + c.name("_log") + " (tab text NOT NULL, key text[] NOT NULL)",
		"ALTER TABLE " + c.name("_log") + " SET (autovacuum_enabled = false)",
		c.ownAlone("_gate", "SEQUENCE"), c.ownAlone("_log", "TABLE"),
		c.refuseFunction(), callNever(c.name("_refuse")),
	}
	if err := execAll(ctx, conn, statements...); err != nil {
		return err
	}
	if err := c.thaw(ctx, conn); err != nil {
		return err
	}
	for _, t := range c.tables {
		if err := c.watch(ctx, conn, t); err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	return nil
}

// ownAlone takes from everybody but the owner what default privileges gave.
func (c *pgCapture) ownAlone(suffix, what string) string {
	return fmt.Sprintf(`DO $tenancy$ DECLARE r record; BEGIN
		FOR r IN SELECT DISTINCT a.grantee FROM pg_catalog.pg_class k, pg_catalog.aclexplode(k.relacl) a
			WHERE k.oid = %s::pg_catalog.regclass AND a.grantee <> k.relowner LOOP
			EXECUTE 'REVOKE ALL ON %s %s FROM ' || CASE r.grantee WHEN 0 THEN 'PUBLIC' ELSE r.grantee::pg_catalog.regrole::text END;
		END LOOP; END $tenancy$`, literal(c.name(suffix)), what, strings.ReplaceAll(c.name(suffix), "'", "''"))
}

// callNever takes from everybody but the owner the right to call a trigger function, and
// so to put it on tables of their own: it runs as the owner, on rows whose types might
// bring code with them. Triggers that are there need no such right.
func callNever(function string) string {
	return fmt.Sprintf(`DO $tenancy$ DECLARE r record; BEGIN
		REVOKE ALL ON FUNCTION %[1]s() FROM PUBLIC;
		FOR r IN SELECT DISTINCT a.grantee FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a
			WHERE p.oid = %[2]s::pg_catalog.regprocedure AND a.grantee <> p.proowner LOOP
			EXECUTE 'REVOKE ALL ON FUNCTION %[3]s() FROM ' || r.grantee::pg_catalog.regrole::text;
		END LOOP; END $tenancy$`, function, literal(function+"()"), strings.ReplaceAll(function, "'", "''"))
}

// shut is what a function does with a write when the gate is.
const shut = `RAISE EXCEPTION USING ERRCODE = '` + frozenState + `', MESSAGE = '` + frozen + `; try the transaction again';`

// A refusing function only raises, so it runs as whoever writes: a definer's would be
// one more thing for an audit to look at, and the one on shared tables stays.
const (
	refuser = ` RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp`
	definer = ` RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp`
)

// refuseFunction refuses whatever it is attached to.
func (c *pgCapture) refuseFunction() string {
	return "CREATE OR REPLACE FUNCTION " + c.name("_refuse") + "()" + refuser + " AS $tenancy$ BEGIN " + shut + " END $tenancy$"
}

// watch puts a table's triggers in place. It waits for transactions that write to the
// table, so none of their rows is missed, and not for those that only read.
func (c *pgCapture) watch(ctx context.Context, conn *sql.Conn, t *table) error {
	trigger := func(suffix, when, event, condition, level, function string) string {
		if condition != "" {
			condition = " WHEN (" + condition + ")"
		}
		return "CREATE OR REPLACE TRIGGER " + quote(c.base+suffix) + " " + when + " " + event + " ON " + t.ref + " FOR EACH " + level + condition +
			" EXECUTE FUNCTION " + function + "()"
	}
	old, fresh := "", ""
	if c.shared {
		old, fresh = "OLD."+t.owner+" = "+literal(string(c.id)), "NEW."+t.owner+" = "+literal(string(c.id))
	}
	either := ""
	if c.shared {
		either = old + " OR " + fresh
	}
	return patiently(ctx, conn, c.recordFunction(t), callNever(c.function(t)),
		trigger("_insert", "AFTER", "INSERT", fresh, "ROW", c.function(t)),
		trigger("_update", "AFTER", "UPDATE", either, "ROW", c.function(t)),
		trigger("_delete", "AFTER", "DELETE", old, "ROW", c.function(t)),
		trigger("_truncate", "BEFORE", "TRUNCATE", "", "STATEMENT", c.name("_refuse")))
}

func (c *pgCapture) unwatch(t *table) []string {
	var statements []string
	for _, suffix := range []string{"_insert", "_update", "_delete", "_truncate"} {
		statements = append(statements, "DROP TRIGGER IF EXISTS "+quote(c.base+suffix)+" ON "+t.ref)
	}
	return statements
}

// recordFunction records the keys of changed rows. It takes no number from any
// sequence, which would change what lastval() tells the tenant.
func (c *pgCapture) recordFunction(t *table) string {
	keyOf := func(row string) string {
		parts := make([]string, len(t.key))
		for i, k := range t.key {
			parts[i] = row + "." + quote(k) + "::pg_catalog.text"
		}
		return "ARRAY[" + strings.Join(parts, ", ") + "]"
	}
	record := func(row string) string {
		return "INSERT INTO " + c.name("_log") + " (tab, key) VALUES (" + literal(t.name) + ", " + keyOf(row) + ");"
	}
	return "CREATE OR REPLACE FUNCTION " + c.function(t) + "()" + definer +
		" SET TimeZone = 'UTC' SET DateStyle = 'ISO, MDY' SET IntervalStyle = 'postgres' SET bytea_output = 'hex' SET extra_float_digits = 1" +
		" AS $tenancy$ DECLARE gate pg_catalog.int8; BEGIN" +
		fmt.Sprintf(" PERFORM pg_catalog.pg_advisory_xact_lock_shared(%d);", c.lock) +
		fmt.Sprintf(" SELECT last_value INTO gate FROM %s; IF gate <> %d THEN %s END IF;", c.name("_gate"), gateOpen, shut) +
		" IF TG_OP <> 'INSERT' THEN " + record("OLD") + " END IF;" +
		" IF TG_OP = 'INSERT' OR TG_OP = 'UPDATE' AND " + keyOf("NEW") + " IS DISTINCT FROM " + keyOf("OLD") + " THEN " + record("NEW") + " END IF;" +
		" RETURN NULL; END $tenancy$"
}

func (c *pgCapture) setGate(ctx context.Context, conn *sql.Conn, to int) error {
	_, err := conn.ExecContext(ctx, fmt.Sprintf("SELECT pg_catalog.setval(%s::pg_catalog.regclass, %d)", literal(c.name("_gate")), to))
	return err
}

func (c *pgCapture) thaw(ctx context.Context, conn *sql.Conn) error {
	return c.setGate(ctx, conn, gateOpen)
}

func (c *pgCapture) freeze(ctx context.Context, conn *sql.Conn) error {
	if err := c.setGate(ctx, conn, gateShut); err != nil {
		return err
	}
	err := execAll(ctx, conn, ddlPatience,
		fmt.Sprintf("SELECT pg_catalog.pg_advisory_lock(%d)", c.lock),
		fmt.Sprintf("SELECT pg_catalog.pg_advisory_unlock(%d)", c.lock))
	if sqlState(err) == lockNotAvailable {
		return fmt.Errorf("%w: a transaction of the tenant's has been writing for 2 seconds: %w", errBusy, err)
	}
	return err
}

var errBusy = errors.New("archive: the tenant is busy")

const lockNotAvailable = "55P03"

func (c *pgCapture) leave(ctx context.Context, conn *sql.Conn) error {
	if !c.shared {
		return nil // all of it goes with the home
	}
	for _, t := range c.tables {
		bar, err := c.bar(ctx, conn, t, true)
		if err != nil {
			return err
		}
		if err := patiently(ctx, conn, append(bar, c.unwatch(t)...)...); err != nil {
			return err
		}
	}
	return c.remove(ctx, conn)
}

func (c *pgCapture) remove(ctx context.Context, conn *sql.Conn) error {
	for _, t := range c.tables {
		if err := patiently(ctx, conn, c.unwatch(t)...); err != nil {
			return err
		}
	}
	statements := []string{
		"DROP TABLE IF EXISTS " + c.name("_log"), "DROP SEQUENCE IF EXISTS " + c.name("_gate"),
		"DROP FUNCTION IF EXISTS " + c.name("_refuse") + "()",
	}
	for _, t := range c.tables {
		statements = append(statements, "DROP FUNCTION IF EXISTS "+c.function(t)+"()")
	}
	return execAll(ctx, conn, statements...)
}

func (c *pgCapture) reopen(ctx context.Context, conn *sql.Conn) error {
	if !c.shared {
		return nil
	}
	for _, t := range c.tables {
		statements, err := c.bar(ctx, conn, t, false)
		if err != nil {
			return err
		}
		if err := patiently(ctx, conn, statements...); err != nil {
			return err
		}
	}
	return nil
}

const barred = ours + "gone"

// bar returns the statements that put the tenant on the list of those who left a
// shared table, or take it off. All of them are in the condition of one trigger, so
// that it costs other tenants next to nothing.
func (c *pgCapture) bar(ctx context.Context, conn *sql.Conn, t *table, add bool) ([]string, error) {
	refuse := c.schema + "." + quote(barred)
	statements := []string{"CREATE OR REPLACE FUNCTION " + refuse + "()" + refuser + " AS $tenancy$ BEGIN " + shut + " END $tenancy$", callNever(refuse)}
	ids := map[string]bool{}
	err := each(ctx, conn, `SELECT pg_catalog.unnest(pg_catalog.string_to_array(pg_catalog.obj_description(g.oid, 'pg_trigger'), ' '))
		FROM pg_catalog.pg_trigger g WHERE g.tgrelid = $1::pg_catalog.regclass AND g.tgname = $2`, []any{t.ref, barred}, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		ids[id] = true
		return err
	})
	if err != nil {
		return nil, err
	}
	if ids[string(c.id)] == add {
		return nil, nil
	}
	delete(ids, string(c.id))
	if add {
		ids[string(c.id)] = true
	}
	if len(ids) == 0 {
		return []string{"DROP TRIGGER " + quote(barred) + " ON " + t.ref}, nil
	}
	var list, quoted []string
	for id := range ids {
		list, quoted = append(list, id), append(quoted, literal(id))
	}
	return append(statements,
		"CREATE OR REPLACE TRIGGER "+quote(barred)+" BEFORE INSERT OR UPDATE ON "+t.ref+" FOR EACH ROW WHEN (NEW."+t.owner+" IN ("+strings.Join(quoted, ", ")+
			")) EXECUTE FUNCTION "+refuse+"()",
		"COMMENT ON TRIGGER "+quote(barred)+" ON "+t.ref+" IS "+literal(strings.Join(list, " "))), nil
}

func (c *pgCapture) changes(ctx context.Context, conn *sql.Conn, tx *sql.Tx) (changes, error) {
	var snapshot string
	if err := tx.QueryRowContext(ctx, "SELECT pg_catalog.pg_export_snapshot()").Scan(&snapshot); err != nil {
		return nil, err
	}
	seen, err := conn.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
	if err != nil {
		return nil, err
	}
	if _, err := seen.ExecContext(ctx, "SET TRANSACTION SNAPSHOT "+literal(snapshot)); err != nil {
		return nil, errors.Join(err, seen.Rollback())
	}
	return &pgChanges{tx: seen, log: c.name("_log")}, nil
}

// pgChanges reads the log in the snapshot that rows are read in.
type pgChanges struct {
	tx  *sql.Tx
	log string
}

func (c *pgChanges) close() { _ = c.tx.Rollback() } // after a commit there is nothing to roll back

func (c *pgChanges) keys(ctx context.Context, t *table) (keySet, error) {
	set := keySet{columns: len(t.key)}
	names, dest, raw := make([]string, len(t.key)), make([]any, len(t.key)), make([]string, len(t.key))
	for i := range names {
		names[i], dest[i] = fmt.Sprintf("key[%d]", i+1), &raw[i]
	}
	key := make([]value, len(t.key))
	query := "SELECT DISTINCT " + strings.Join(names, ", ") + " FROM " + c.log + " WHERE tab = $1"
	err := each(ctx, c.tx, query, []any{t.name}, func(scan func(...any) error) error {
		if err := scan(dest...); err != nil {
			return err
		}
		for i, name := range t.key {
			var err error
			if key[i], err = keyFromText(t.column(name).kind, raw[i]); err != nil {
				return err
			}
		}
		set.add(key)
		return nil
	})
	return set, err
}

// keyFromText returns a value of the log, where all are text.
func keyFromText(k Kind, text string) (value, error) {
	if k != Bytes {
		return fromPostgres(k, []byte(text))
	}
	data, err := hex.DecodeString(strings.TrimPrefix(text, `\x`))
	return value{tagValue, data}, err
}

// forget deletes what the snapshot has, and nothing that came later.
func (c *pgChanges) forget(ctx context.Context) error {
	if _, err := c.tx.ExecContext(ctx, "DELETE FROM "+c.log); err != nil {
		return err
	}
	return c.tx.Commit()
}

func execAll(ctx context.Context, conn *sql.Conn, statements ...string) error {
	for _, s := range statements {
		if _, err := conn.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// attempts is how often a table that is in use is tried, with a pause in which those
// who wait behind get their turn.
const (
	attempts = 30
	pause    = 200 * time.Millisecond
)

// patiently runs statements in one transaction, again if a table was in use.
func patiently(ctx context.Context, conn *sql.Conn, statements ...string) error {
	var err error
	for range attempts {
		if err = inTx(ctx, conn, statements...); sqlState(err) != lockNotAvailable && sqlState(err) != "40P01" {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(pause):
		}
	}
	return fmt.Errorf("%w: %w", errBusy, err)
}

func inTx(ctx context.Context, conn *sql.Conn, statements ...string) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	for _, s := range statements {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return tx.Commit()
}
