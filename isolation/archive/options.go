package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// Option changes a setting of [New].
type Option func(*config)

type config struct {
	tables, excluded []string
	column           string
	version          string
	cipher           Cipher
	conns            int
	roundTimes       bool
}

// Tables registers the tables that hold a tenant's data, as name or schema.name. A
// table of a tenant's that is neither registered nor excluded is an error, so that
// none is forgotten. Without this option, all are registered. Where tables are
// shared, a tenant's are those with the tenant's column.
func Tables(names ...string) Option {
	return func(c *config) { c.tables = append(slices.Clip(c.tables), names...) }
}

// Exclude names tables that stay out of archives, such as caches that can be made
// again, and sequences that are left where they are: by their own name, or as
// table.column if they number one.
func Exclude(names ...string) Option {
	return func(c *config) { c.excluded = append(slices.Clip(c.excluded), names...) }
}

// TenantColumn names the column with the tenant's ID in homes of a tenant's own that
// have one, because the same migrations make all. Where tables are shared, the
// strategy knows its name. The default is tenant_id. Archives do not hold the
// column: it is filled in with the tenant who is restored.
func TenantColumn(name string) Option { return func(c *config) { c.column = name } }

// SchemaVersion says at which version the host's schema is. It stands in the
// manifest, and an archive of another version is not restored without
// [OtherSchema].
func SchemaVersion(version string) Option { return func(c *config) { c.version = version } }

// Encrypt seals archives with c, and opens them with it. An archive that is not
// encrypted is refused then.
func Encrypt(c Cipher) Option { return func(cfg *config) { cfg.cipher = c } }

// Conns bounds the connections that an archiver opens for itself. The default is 4.
func Conns(n int) Option { return func(c *config) { c.conns = n } }

// RoundTimes rounds times of SQLite to microseconds as they are read. Finer ones
// fit no PostgreSQL, and are refused there without it.
func RoundTimes() Option { return func(c *config) { c.roundTimes = true } }

func (c config) validate() error {
	if c.column == "" {
		return errors.New("archive: TenantColumn: want a name")
	}
	if c.conns < minConns {
		return fmt.Errorf("archive: Conns: want at least %d, got %d", minConns, c.conns)
	}
	return nil
}

// minConns is a connection that reads a snapshot and one beside it.
const minConns = 2

// RestoreOption changes how [Archiver.Restore] works.
type RestoreOption func(*restoreConfig)

type restoreConfig struct {
	replace, clone, otherSchema bool
	commit                      []func(context.Context, *sql.Tx) error
}

// Replace deletes what rows the tenant has, in the same transaction. Without it, a
// home with rows is refused with [ErrOccupied].
func Replace() RestoreOption { return func(c *restoreConfig) { c.replace = true } }

// AsClone lets an archive of another tenant be restored. Keys stay as they are.
func AsClone() RestoreOption { return func(c *restoreConfig) { c.clone = true } }

// BeforeCommit calls f in the transaction of the restore, as the tenant, when all rows
// are there and were read back. If f fails, so does the restore, and the tenant has what
// it had. Use it to change or to check what an archive cannot know: rows that are sealed
// with a key that is no more, IDs of the original in a clone.
func BeforeCommit(f func(ctx context.Context, tx *sql.Tx) error) RestoreOption {
	return func(c *restoreConfig) { c.commit = append(c.commit, f) }
}

// OtherSchema lets an archive of another schema version be restored, and columns be
// there that it does not know: their default fills them in. What the archive has,
// the tables must have.
func OtherSchema() RestoreOption { return func(c *restoreConfig) { c.otherSchema = true } }
