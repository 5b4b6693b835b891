package row

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strconv"
	"time"

	"github.com/tenancy-go/tenancy/isolation/internal/pgsession"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/tenant"
)

// signed is the mode that keeps a token in the session's setting tenancy.token, which
// each statement verifies.
type signed struct {
	keys *keyring
	now  func() time.Time
	life time.Duration // of a token on a session of its own
}

func (signed) name() string { return modeSigned }

// admit needs nothing but to know the session.
func (m signed) admit(_ context.Context, conn driver.Conn) error {
	_, err := session(conn)
	return err
}

// enter leaves a token for this session alone.
func (m signed) enter(ctx context.Context, conn driver.Conn, id tenant.ID, limits *pgsession.Settings) error {
	c, err := session(conn)
	if err != nil {
		return err
	}
	if err := idle(conn); err != nil {
		return err
	}
	if err := confine(ctx, conn, m.keep(id, c)); err != nil {
		return fmt.Errorf("isolation/row: confine connection: %w", err)
	}
	return pgsession.Run(ctx, conn, limits.Text)
}

// ride is enter, with a token for each flight.
func (m signed) ride(conn driver.Conn, id tenant.ID) postgres.Entry {
	return confining(func() (postgres.Statement, error) {
		c, err := session(conn)
		if err != nil {
			return postgres.Statement{}, err
		}
		return m.keep(id, c), nil
	})
}

// keep returns the call that leaves a token on c's session.
func (m signed) keep(id tenant.ID, c *postgres.Conn) postgres.Statement {
	return postgres.Statement{Query: "SELECT tenancy.confine($1)", Args: []string{m.token(id, c.BackendPID(), m.life)}}
}

// local sends a token with each transaction. It is for whatever session the pooler
// takes, and holds for the time it may take to get there.
func (m signed) local(_ driver.Conn, id tenant.ID, limits *pgsession.Settings) postgres.Entry {
	query := "SELECT tenancy.clear(), tenancy.present($1)" + limits.Local
	return postgres.Entry{Local: true, Renew: func() ([]postgres.Statement, error) {
		return []postgres.Statement{{
			Query: query,
			Args:  []string{m.token(id, anySession, window)},
		}}, nil
	}}
}

// anySession stands for a process in tokens that are bound to none.
const anySession = 0

// token returns a fresh one for a tenant on the session of a process, or on any.
func (m signed) token(id tenant.ID, pid int, life time.Duration) string {
	key := m.keys.signer()
	return key.sign(modeSigned, key.id+"."+strconv.Itoa(pid)+"."+expiry(m.now(), life)+"."+id.String())
}

func (m signed) renewAfter() time.Duration { return m.life * 2 / 3 }

func (signed) retire() []string { return nil }

func (signed) private() []relation { return []relation{keysTable} }

// functions set the token as the schema's owner, who may where [Harden] took set_config
// from the others. They run in the leader of a parallel query, which is the process that the token
// names. A token holds for transactions that began in time, so that none is cut off.
func (signed) functions() []function {
	return []function{
		{name: "current_tenant", returns: "text", parallel: "RESTRICTED", volatility: "STABLE", definer: true, body: `
-- mode: signed
DECLARE
  token text := current_setting('tenancy.token', true);` + claimed + `
BEGIN` + verification(modeSigned, "'0', pg_backend_pid()::text", "now()", "") + `
  RETURN split_part(claim, '.', 4);
END`},
		{name: "current_tenant_uuid", returns: "uuid", parallel: "RESTRICTED", volatility: "STABLE", body: "\n-- mode: signed" + uuidBody},
		{name: "present", args: "token text", returns: "void", volatility: "VOLATILE", parallel: "UNSAFE", definer: true, body: `
BEGIN
  PERFORM set_config('tenancy.token', token, true);
END`},
		{name: "keep", args: "token text", returns: "void", volatility: "VOLATILE", parallel: "UNSAFE", definer: true, body: `
BEGIN
  PERFORM set_config('tenancy.token', token, false);
END`},
		{name: "confine", args: "token text", returns: "void", volatility: "VOLATILE", parallel: "UNSAFE", body: `
BEGIN` + pgsession.Clearing + `
  DISCARD SEQUENCES;
  PERFORM tenancy.keep(token);
END`},
		forget,
	}
}
