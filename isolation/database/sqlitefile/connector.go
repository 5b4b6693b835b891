package sqlitefile

import (
	"context"
	"database/sql/driver"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"modernc.org/sqlite"

	"github.com/tenancy-go/tenancy/tenant"
)

// homeQuery returns the settings of a tenant's connection. The driver sets them
// in an order of its own: busy_timeout first, then pragmas, then the rest.
func homeQuery(c config) string {
	q := busyQuery(c.busyTimeout)
	q.Set("_synchronous", string(c.synchronous))
	q.Set("_journal_mode", "WAL")
	q.Set("_foreign_keys", "on")
	q.Set("_defensive", "1")
	q.Set("_dqs", "0")
	q.Set("_txlock", "immediate")
	q.Add("_pragma", "cell_size_check(1)")
	q.Add("_pragma", "trusted_schema(0)")
	return setFormats(q).Encode()
}

// migrationQuery returns the settings of a migration's connection: without
// foreign keys, and with whatever a host's schema may need.
func migrationQuery() string {
	q := busyQuery(lockTimeout)
	q.Set("_synchronous", string(SyncFull))
	q.Set("_journal_mode", "WAL")
	q.Set("_foreign_keys", "off")
	q.Set("_dqs", "0")
	return setFormats(q).Encode()
}

func busyQuery(timeout time.Duration) url.Values {
	return url.Values{
		"mode":          {"rw"}, // a file that is missing is not made
		"_busy_timeout": {strconv.FormatInt(timeout.Milliseconds(), 10)},
		"_error_rc":     {"1"},
	}
}

// setFormats makes times comparable as text.
func setFormats(q url.Values) url.Values {
	q.Set("_time_format", "sqlite")
	q.Set("_timezone", "UTC")
	return q
}

// dsn returns the URI of a file.
func dsn(path, query string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // a drive letter
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: query}
	return u.String()
}

// connector opens one tenant's file.
type connector struct {
	strategy *Strategy
	id       tenant.ID
	path     string
}

// Connect opens the tenant's file, which must be there.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := c.strategy.dir.checkHome(c.id); err != nil {
		return nil, fmt.Errorf("sqlitefile: %w", err)
	}
	inner, err := c.strategy.driver.Open(dsn(c.path, c.strategy.query))
	if err != nil {
		if gone := c.strategy.dir.checkHome(c.id); gone != nil {
			err = gone
		}
		return nil, fmt.Errorf("sqlitefile: open tenant %s: %w", c.id, err)
	}
	return confined(inner, c.strategy, c.id)
}

// Driver returns the driver that opens the files.
func (c *connector) Driver() driver.Driver { return c.strategy.driver }

// plainConnector opens a file of the strategy's own.
type plainConnector struct {
	driver *sqlite.Driver
	dsn    string
}

func (c plainConnector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }

func (c plainConnector) Driver() driver.Driver { return c.driver }
