package row

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tenancy-go/tenancy/isolation/postgres"
)

// window is how long a token may be on its way to the database, differences
// between the clocks included.
const window = time.Minute

// keysTable holds the keys as [Key.pads] has them. A retired one has none, and its
// ID stays taken.
var keysTable = relation{name: "keys", columns: "id pg_catalog.text PRIMARY KEY, inner_pad pg_catalog.bytea, outer_pad pg_catalog.bytea, " +
	"installed pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now(), retired pg_catalog.timestamptz"}

// verification is the part of a plpgsql function that compares the mac of its
// variable token, for a purpose, and the process and the expiry in it, which are the second
// and third word of its claim: the process is one of a list of expressions, and the time
// expires is compared with. With lock " FOR SHARE" it waits for whoever retires the key, and
// a key that was retired after the transaction's snapshot was taken is an error. The macs
// are compared as hashes, so that the time it takes tells nothing of how much of a guess is
// right. The errors repeat nothing of the token.
//
// What holds is one expression: each is made ready anew in each transaction.
func verification(purpose, processes, time, lock string) string {
	genuine := "(sha256(convert_to(encode(" + hmacOf(purpose) + ", 'hex'), 'UTF8')) = sha256(convert_to(left(token, 64), 'UTF8')))"
	here := "split_part(claim, '.', 2) IN (" + processes + ")"
	return `
  SELECT k.inner_pad, k.outer_pad INTO inner_pad, outer_pad FROM tenancy.keys AS k WHERE k.id = split_part(claim, '.', 1)` + lock + `;
  IF (` + genuine + ` AND ` + here + ` AND split_part(claim, '.', 3)::int8 >= date_part('epoch', ` + time + `)) IS NOT TRUE THEN
    IF inner_pad IS NULL THEN
      RAISE EXCEPTION 'tenancy: there is no token on this session, or its key is not installed or was retired' USING ERRCODE = '42501';
    END IF;
    IF ` + genuine + ` IS NOT TRUE THEN
      RAISE EXCEPTION 'tenancy: the token is not genuine' USING ERRCODE = '42501';
    END IF;
    IF (` + here + `) IS NOT TRUE THEN
      RAISE EXCEPTION 'tenancy: the token is for another session' USING ERRCODE = '42501';
    END IF;
    RAISE EXCEPTION 'tenancy: the token has expired: it was on its way for too long, or the clocks of application and database differ' USING ERRCODE = '42501';
  END IF;`
}

// hmacOf is the expression that the database computes [Key.mac] of claim by.
func hmacOf(purpose string) string {
	return "sha256(outer_pad || sha256(inner_pad || convert_to('" + purpose + ".' || claim, 'UTF8')))"
}

// claimed are the variables that verification uses.
const claimed = `
  claim text := substr(token, 66);
  inner_pad bytea;
  outer_pad bytea;`

// expiry is how a claim says that it holds for life from now.
func expiry(now time.Time, life time.Duration) string {
	return strconv.FormatInt(now.Add(life).Unix(), 10)
}

// named numbers the arguments of a statement.
func named(args []string) []driver.NamedValue {
	values := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: arg}
	}
	return values
}

// session returns the connection of package postgres that conn is or wraps.
func session(conn driver.Conn) (*postgres.Conn, error) {
	for inner := conn; inner != nil; {
		if c, ok := inner.(*postgres.Conn); ok {
			return c, nil
		}
		wrapper, ok := inner.(interface{ Unwrap() driver.Conn })
		if !ok {
			break
		}
		inner = wrapper.Unwrap()
	}
	return nil, &UnsafeError{Findings: []Finding{{
		Object:  fmt.Sprintf("connection of type %T", conn),
		Problem: "its session cannot be told from others, so no token can be bound to it",
		Remedy:  "give row.New a connector of postgres.NewConnector",
	}}}
}

// confine drops what is prepared and calls tenancy.confine as by has it, in one flight. Its
// token is an argument, not a part of the text, so that no other session finds it in
// pg_stat_activity.
func confine(ctx context.Context, conn driver.Conn, by postgres.Statement) error {
	execer, ok := conn.(driver.ExecerContext)
	if !ok {
		return fmt.Errorf("isolation/row: connection of type %T runs no statements", conn)
	}
	_, err := execer.ExecContext(ctx, strings.Replace(by.Query, "SELECT ", "SELECT tenancy.forget(), ", 1), named(by.Args))
	return err
}

// confining returns an entry that calls tenancy.confine with a token of its own each
// time, since a session takes none twice. The statement must not be prepared under a
// name: SQL of the tenant before could have put another in its place (DEALLOCATE, PREPARE),
// which would run instead and get the token.
func confining(by func() (postgres.Statement, error)) postgres.Entry {
	return postgres.Entry{Keep: true, Renew: func() ([]postgres.Statement, error) {
		s, err := by()
		return []postgres.Statement{s}, err
	}}
}

// forget is for flights of their own, where what the driver prepared is forgotten, too.
var forget = function{name: "forget", returns: "void", volatility: "VOLATILE", parallel: "UNSAFE", body: `
BEGIN
  DEALLOCATE ALL;
END`}
