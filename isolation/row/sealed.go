package row

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"time"
	"weak"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pgsession"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/tenant"
)

// sealed is the mode that keeps the tenant in registers of the session which only a
// verified token changes: private sequences, whose last value each session has for
// itself (currval). They survive a rollback. DISCARD SEQUENCES, which everyone may
// call, empties them, and with them the secret without which no token is accepted: then
// the session has no tenant any more, for good. So does a token that is not genuine, so
// that nobody tries twice.
type sealed struct {
	keys  *keyring
	now   func() time.Time
	seals sync.Map // weak.Pointer[postgres.Conn] to *seal
}

func newSealed(keys *keyring, now func() time.Time) *sealed { return &sealed{keys: keys, now: now} }

func (*sealed) name() string { return modeSealed }

// admit agrees on a secret with the session. Its token is the only one that a session
// without a secret accepts. The database takes down that it was used, until it has
// expired: nobody empties the registers and uses all tokens a second time.
func (m *sealed) admit(ctx context.Context, conn driver.Conn) error {
	c, err := session(conn)
	if err != nil {
		return err
	}
	s := &seal{count: firstCount()}
	key := m.keys.signer()
	claim := key.id + "." + strconv.Itoa(c.BackendPID()) + "." + expiry(m.now(), window) + "." + strconv.FormatInt(s.count, 10)
	if s.epoch, err = open(ctx, conn, key.sign("open", claim)); err != nil {
		return err
	}
	copy(s.secret[:], key.mac("seal", claim))
	weakly := weak.Make(c)
	m.seals.Store(weakly, s)
	runtime.AddCleanup(c, func(weakly weak.Pointer[postgres.Conn]) { m.seals.Delete(weakly) }, weakly)
	return nil
}

// open calls tenancy.open, which returns the epoch.
func open(ctx context.Context, conn driver.Conn, token string) (epoch int64, err error) {
	queryer, ok := conn.(driver.QueryerContext)
	if !ok {
		return 0, fmt.Errorf("isolation/row: connection of type %T runs no queries", conn)
	}
	rows, err := queryer.QueryContext(ctx, "SELECT tenancy.open($1)", named([]string{token}))
	if err != nil {
		return 0, refusal(err)
	}
	value := make([]driver.Value, 1)
	if err := errors.Join(rows.Next(value), rows.Close()); err != nil {
		return 0, refusal(err)
	}
	epoch, ok = value[0].(int64)
	if !ok {
		return 0, fmt.Errorf("isolation/row: open session: want a number, got %T", value[0])
	}
	return epoch, nil
}

// enter fails with driver.ErrBadConn, so that the pool takes another connection, when
// the session does not accept the token any more.
func (m *sealed) enter(ctx context.Context, conn driver.Conn, id tenant.ID, limits *pgsession.Settings) error {
	by, err := m.next(conn, id)
	if err != nil {
		return err
	}
	if err := idle(conn); err != nil {
		return err
	}
	err = confine(ctx, conn, by)
	if pq.As(err, pqerror.InsufficientPrivilege, noSeal) != nil {
		return fmt.Errorf("isolation/row: %w: %w", driver.ErrBadConn, err)
	}
	if err != nil {
		return fmt.Errorf("isolation/row: confine connection: %w", err)
	}
	return pgsession.Run(ctx, conn, limits.Text)
}

// noSeal is what PostgreSQL says of an empty register.
var noSeal = pqerror.ObjectNotInPrerequisiteState

// ride is enter, with a token for each flight.
func (m *sealed) ride(conn driver.Conn, id tenant.ID) postgres.Entry {
	e := confining(func() (postgres.Statement, error) { return m.next(conn, id) })
	e.Lost = string(noSeal)
	return e
}

// next returns the call that makes id the tenant of conn's session, once.
func (m *sealed) next(conn driver.Conn, id tenant.ID) (postgres.Statement, error) {
	c, err := session(conn)
	if err != nil {
		return postgres.Statement{}, err
	}
	s, ok := m.seals.Load(weak.Make(c))
	if !ok {
		return postgres.Statement{}, errors.New("isolation/row: this connection was not opened by the connector that Place returns")
	}
	return s.(*seal).next(words(id)), nil //nolint:forcetypeassert // nothing else is stored
}

// local is never called: New refuses the combination.
func (*sealed) local(driver.Conn, tenant.ID, *pgsession.Settings) postgres.Entry {
	return postgres.Entry{Local: true, Renew: func() ([]postgres.Statement, error) {
		return nil, errors.New("isolation/row: Sealed cannot be TransactionScoped")
	}}
}

func (*sealed) renewAfter() time.Duration { return 0 }

// retire ends the seals that were made before, at once: sequences know no transaction. A
// session that is opened meanwhile reads the epoch first and then waits for the key's row.
func (*sealed) retire() []string { return []string{"SELECT nextval('tenancy.retired')"} }

func (*sealed) private() []relation {
	relations := []relation{keysTable, {name: "opened", unlogged: true, columns: "count pg_catalog.int8 PRIMARY KEY, until pg_catalog.timestamptz NOT NULL"}}
	for _, name := range []string{
		"retired", "seal", "secret_1", "secret_2", "tenant", "tenant_1", "tenant_2", "tenant_3", "tenant_4", "tenant_5", "tenant_6", "tenant_7", "tenant_uuid", "tenant_uuid_low",
	} {
		relations = append(relations, relation{name: name, sequence: true})
	}
	return relations
}

// functions read registers in the leader of a parallel query, since its workers have
// none. The database says of an empty register that it "is not yet defined in this
// session": catching that would take a subtransaction, which a parallel query
// does not allow.
func (*sealed) functions() []function {
	return []function{
		{name: "current_tenant", returns: "text", parallel: "RESTRICTED", volatility: "STABLE", definer: true, body: `
-- mode: sealed
DECLARE
  id bytea := int8send(currval('tenancy.tenant'::regclass));
  size int4;
BEGIN
  IF get_byte(id, 0) <= 7 THEN
    RETURN encode(substr(id, 2, get_byte(id, 0)), 'escape');
  END IF;
  size := get_byte(id, 0);
  IF size = 64 THEN
    RETURN encode(int8send(currval('tenancy.tenant_uuid'::regclass)) || int8send(currval('tenancy.tenant_uuid_low'::regclass)), 'hex')::uuid::text;
  END IF;
  id := id || int8send(currval('tenancy.tenant_1'::regclass));
  IF size > 15 THEN
    id := id || int8send(currval('tenancy.tenant_2'::regclass)) || int8send(currval('tenancy.tenant_3'::regclass));
  END IF;
  IF size > 31 THEN
    id := id || int8send(currval('tenancy.tenant_4'::regclass)) || int8send(currval('tenancy.tenant_5'::regclass))
      || int8send(currval('tenancy.tenant_6'::regclass)) || int8send(currval('tenancy.tenant_7'::regclass));
  END IF;
  RETURN encode(substr(id, 2, size), 'escape');
END`},
		{name: "current_tenant_uuid", returns: "uuid", parallel: "RESTRICTED", volatility: "STABLE", definer: true, body: `
-- mode: sealed
BEGIN
  RETURN encode(int8send(currval('tenancy.tenant_uuid'::regclass)) || int8send(currval('tenancy.tenant_uuid_low'::regclass)), 'hex')::uuid;
END`},
		{name: "open", args: "token text", returns: "bigint", volatility: "VOLATILE", parallel: "UNSAFE", definer: true, body: `
DECLARE
  epoch int8 := ` + sealEpoch + `; -- before the key is looked for, which may be retired meanwhile
  secret text;` + claimed + `
BEGIN` + verification("open", "pg_backend_pid()::text", "clock_timestamp()", " FOR SHARE") + `
  DELETE FROM tenancy.opened WHERE until < clock_timestamp();
  INSERT INTO tenancy.opened (count, until) VALUES (split_part(claim, '.', 4)::int8, to_timestamp(split_part(claim, '.', 3)::int8) + '1 minute')
    ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'tenancy: the token was used before' USING ERRCODE = '42501';
  END IF;
  secret := encode(` + hmacOf("seal") + `, 'hex');
  PERFORM setval('tenancy.seal'::regclass, split_part(claim, '.', 4)::int8),
    setval('tenancy.secret_1'::regclass, ('x' || left(secret, 16))::bit(64)::int8),
    setval('tenancy.secret_2'::regclass, ('x' || substr(secret, 17, 16))::bit(64)::int8);
  RETURN epoch;
END`},
		{name: "enter", args: "mac bytea, count bigint, VARIADIC word bigint[]", returns: "void", volatility: "VOLATILE", parallel: "UNSAFE", definer: true, body: `
DECLARE
  held int8[] := ARRAY[currval('tenancy.seal'::regclass), currval('tenancy.secret_1'::regclass), currval('tenancy.secret_2'::regclass)];
  ignored int4;
BEGIN
  IF (` + sealMAC + ` = mac AND count > held[1]) IS NOT TRUE THEN
    IF (` + sealMAC + ` = mac) IS TRUE THEN
      RAISE EXCEPTION 'tenancy: the token was used before' USING ERRCODE = '42501';
    END IF;
    DISCARD SEQUENCES;
    RAISE EXCEPTION 'tenancy: the token is not genuine, or a key was retired since this session was opened, so the session accepts no tenant any more' USING ERRCODE = '42501';
  END IF;
  DISCARD SEQUENCES;
  ignored := num_nulls(setval('tenancy.seal'::regclass, count), setval('tenancy.secret_1'::regclass, held[2]), setval('tenancy.secret_2'::regclass, held[3]),
    setval('tenancy.tenant'::regclass, word[1]), CASE cardinality(word)
      WHEN 1 THEN 0
      WHEN 3 THEN num_nulls(setval('tenancy.tenant_uuid'::regclass, word[2]), setval('tenancy.tenant_uuid_low'::regclass, word[3]))
      ELSE setval('tenancy.tenant_1'::regclass, word[2]) END);
  IF cardinality(word) > 3 THEN
    ignored := num_nulls(setval('tenancy.tenant_2'::regclass, word[3]), setval('tenancy.tenant_3'::regclass, word[4]));
    IF cardinality(word) > 4 THEN
      ignored := num_nulls(setval('tenancy.tenant_4'::regclass, word[5]), setval('tenancy.tenant_5'::regclass, word[6]),
        setval('tenancy.tenant_6'::regclass, word[7]), setval('tenancy.tenant_7'::regclass, word[8]));
    END IF;
  END IF;
END`},
		{name: "confine", args: "mac bytea, count bigint, VARIADIC word bigint[]", returns: "void", volatility: "VOLATILE", parallel: "UNSAFE", body: `
BEGIN` + pgsession.Clearing + `
  IF tenancy.enter(mac, count, VARIADIC word) IS NULL THEN
  END IF;
END`},
		forget,
	}
}

// idle returns an error if conn is in a transaction, whose rollback would bring back
// what is cleared.
func idle(conn driver.Conn) error {
	if v, ok := conn.(driver.Validator); ok && !v.IsValid() {
		return driver.ErrBadConn
	}
	return nil
}

// refusal says of a new connection's token that the setup is wrong.
func refusal(err error) error {
	if pq.As(err, pqerror.InsufficientPrivilege) != nil {
		return fmt.Errorf("%w: %w: install the key that signs, by Install or Rotate", isolation.ErrUnsafe, err)
	}
	return fmt.Errorf("isolation/row: open session: %w", err)
}
