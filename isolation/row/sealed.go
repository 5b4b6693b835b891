package row

import (
	"context"
	"crypto/rand"
	"database/sql/driver"
	"encoding/binary"
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
// call, empties them, and with them the count without which no token is accepted: then
// the session has no tenant any more, for good.
type sealed struct {
	keys  *keyring
	now   func() time.Time
	seals sync.Map // weak.Pointer[postgres.Conn] to *seal
}

// seal is what the application knows of a session.
type seal struct {
	count int64 // of the last token
}

func newSealed(keys *keyring, now func() time.Time) *sealed { return &sealed{keys: keys, now: now} }

func (*sealed) name() string { return modeSealed }

// admit gives the session the count from which its tokens go on. Its token is the only
// one that a session without a count accepts. The database takes down that it was used,
// until it has expired: nobody empties the registers and uses all tokens a second time.
func (m *sealed) admit(ctx context.Context, conn driver.Conn) error {
	c, err := session(conn)
	if err != nil {
		return err
	}
	s := &seal{count: firstCount()}
	if err := call(ctx, conn, "open", m.token("open", c, s.count)); err != nil {
		return refusal(err)
	}
	key := weak.Make(c)
	m.seals.Store(key, s)
	runtime.AddCleanup(c, func(key weak.Pointer[postgres.Conn]) { m.seals.Delete(key) }, key)
	return nil
}

// firstCount returns a number that no other session counts near to.
func firstCount() int64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return int64(binary.BigEndian.Uint64(b[:]) >> 2)
}

// enter fails with driver.ErrBadConn, so that the pool takes another connection, when
// the session does not accept the token any more.
func (m *sealed) enter(ctx context.Context, conn driver.Conn, id tenant.ID) error {
	token, err := m.next(conn, id)
	if err != nil {
		return err
	}
	if err := idle(conn); err != nil {
		return err
	}
	err = confine(ctx, conn, token)
	if pq.As(err, pqerror.InsufficientPrivilege) != nil {
		return fmt.Errorf("isolation/row: %w: %w", driver.ErrBadConn, err)
	}
	if err != nil {
		return fmt.Errorf("isolation/row: confine connection: %w", err)
	}
	return nil
}

// ride is enter, with a token for each flight.
func (m *sealed) ride(conn driver.Conn, id tenant.ID) postgres.Entry {
	return confining(func() (string, error) { return m.next(conn, id) })
}

// next returns a token that makes id the tenant of conn's session, once.
func (m *sealed) next(conn driver.Conn, id tenant.ID) (string, error) {
	c, err := session(conn)
	if err != nil {
		return "", err
	}
	s, ok := m.seals.Load(weak.Make(c))
	if !ok {
		return "", errors.New("isolation/row: this connection was not opened by the connector that Place returns")
	}
	known := s.(*seal) //nolint:forcetypeassert // nothing else is stored
	known.count++
	return m.token("enter", c, append([]int64{known.count}, words(id)...)...), nil
}

// token signs numbers for c's session.
func (m *sealed) token(purpose string, c *postgres.Conn, numbers ...int64) string {
	key := m.keys.signer()
	return key.sign(purpose, key.id+"."+strconv.Itoa(c.BackendPID())+"."+expiry(m.now(), window)+"."+join(numbers))
}

// local is never called: New refuses the combination.
func (*sealed) local(driver.Conn, tenant.ID) postgres.Entry {
	return postgres.Entry{Local: true, Renew: func() ([]postgres.Statement, error) {
		return nil, errors.New("isolation/row: Sealed cannot be TransactionScoped")
	}}
}

func (*sealed) renewAfter() time.Duration { return 0 }

func (*sealed) private() []relation {
	relations := []relation{keysTable, {name: "opened", unlogged: true, columns: "count pg_catalog.int8 PRIMARY KEY, until pg_catalog.timestamptz NOT NULL"}}
	for _, name := range []string{
		"session", "tenant", "tenant_1", "tenant_2", "tenant_3", "tenant_4", "tenant_5", "tenant_6", "tenant_7", "tenant_uuid", "tenant_uuid_low",
	} {
		relations = append(relations, relation{name: name, sequence: true})
	}
	return relations
}

// maxSkip is how many tokens may get lost before one is accepted.
const maxSkip = "1000000"

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
  size int4 := get_byte(id, 0);
BEGIN
  IF size <= 7 THEN
    RETURN encode(substr(id, 2, size), 'escape');
  END IF;
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
		{name: "open", args: "token text", returns: "void", volatility: "VOLATILE", parallel: "UNSAFE", definer: true, body: `
DECLARE` + claimed + `
BEGIN` + verification("open") + bound + `
  DELETE FROM tenancy.opened WHERE until < clock_timestamp();
  INSERT INTO tenancy.opened (count, until) VALUES (split_part(claim, '.', 4)::int8, to_timestamp(split_part(claim, '.', 3)::int8) + '1 minute')
    ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'tenancy: the token was used before' USING ERRCODE = '42501';
  END IF;
  PERFORM setval('tenancy.session'::regclass, split_part(claim, '.', 4)::int8);
END`},
		{name: "enter", args: "token text", returns: "void", volatility: "VOLATILE", parallel: "UNSAFE", definer: true, body: `
DECLARE` + claimed + `
  word int8[];
  count int8;
BEGIN` + verification("enter") + bound + `
  word := (string_to_array(claim, '.'))[4:]::int8[];
  BEGIN
    count := currval('tenancy.session'::regclass);
  EXCEPTION WHEN object_not_in_prerequisite_state THEN
    RAISE EXCEPTION 'tenancy: the seal of this session is broken, so it accepts no tenant any more' USING ERRCODE = '42501';
  END;
  IF word[1] <= count OR word[1] > count + ` + maxSkip + ` THEN
    RAISE EXCEPTION 'tenancy: the token was used before' USING ERRCODE = '42501';
  END IF;
  DISCARD SEQUENCES;
  PERFORM setval('tenancy.session'::regclass, word[1]), setval('tenancy.tenant'::regclass, word[2]);
  IF cardinality(word) = 4 THEN
    PERFORM setval('tenancy.tenant_uuid'::regclass, word[3]), setval('tenancy.tenant_uuid_low'::regclass, word[4]);
  ELSIF cardinality(word) > 2 THEN
    PERFORM setval('tenancy.tenant_1'::regclass, word[3]);
  END IF;
  IF cardinality(word) > 4 THEN
    PERFORM setval('tenancy.tenant_2'::regclass, word[4]), setval('tenancy.tenant_3'::regclass, word[5]);
  END IF;
  IF cardinality(word) > 5 THEN
    PERFORM setval('tenancy.tenant_4'::regclass, word[6]), setval('tenancy.tenant_5'::regclass, word[7]),
      setval('tenancy.tenant_6'::regclass, word[8]), setval('tenancy.tenant_7'::regclass, word[9]);
  END IF;
END`},
		{name: "confine", args: "token text", returns: "void", volatility: "VOLATILE", parallel: "UNSAFE", body: `
BEGIN` + pgsession.Clearing + `
  PERFORM tenancy.enter(token);
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
