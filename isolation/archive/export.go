package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// Export writes t's rows to w, as they are at one moment, while t goes on working.
// What it has written is an archive only if it returns no error; its end is what
// tells. w is not closed.
func (a *Archiver) Export(ctx context.Context, t tenant.Tenant, w io.Writer) (Manifest, error) {
	out := &writer{out: w, cipher: a.cipher, id: t.ID}
	m, err := a.export(ctx, t, out)
	if err != nil {
		return Manifest{}, errors.Join(err, out.close())
	}
	return m, nil
}

// export reads a snapshot into a sink.
func (a *Archiver) export(ctx context.Context, t tenant.Tenant, to sink) (m Manifest, err error) {
	if err := t.ID.Validate(); err != nil {
		return m, err
	}
	before, d, err := a.catalog(ctx, t)
	if err != nil {
		return m, err
	}
	err = a.view(ctx, t, d, func(ctx context.Context, tx *sql.Tx) error {
		m, err = a.exportRows(ctx, t.ID, tx, d, before, to)
		return err
	})
	if err != nil {
		return m, fmt.Errorf("archive: export tenant %s: %w", t.ID, err)
	}
	// Sequences know no snapshots. Read after the rows, they are past them all.
	after, _, err := a.catalog(ctx, t)
	if err != nil {
		return m, err
	}
	if before.fingerprint() != after.fingerprint() {
		return m, fmt.Errorf("%w: it changed while tenant %s was exported; export again", ErrSchema, t.ID)
	}
	for _, s := range after.sequences {
		m.Sequences = append(m.Sequences, Sequence{Name: s.name, Last: s.last, Used: s.used})
	}
	return m, to.end(ctx, m)
}

// exportRows reads all tables in tx.
func (a *Archiver) exportRows(ctx context.Context, id tenant.ID, tx *sql.Tx, d dialect, h *home, to sink) (Manifest, error) {
	m := h.manifest(id, d.name(), time.Now())
	if err := to.begin(ctx, m); err != nil {
		return m, err
	}
	for i, t := range h.tables {
		if err := t.checkOwner(ctx, tx, id); err != nil {
			return m, err
		}
		var rows tally
		err := scan(ctx, a.rounding(d), tx, t, t.columns, "", nil, func(row []byte) error {
			rows.add(row)
			return to.row(ctx, i, row)
		})
		if err != nil {
			return m, fmt.Errorf("table %s: %w", t.name, err)
		}
		m.Tables[i].Rows, m.Tables[i].Hash = rows.Rows, rows.Sum.String()
	}
	for i, t := range h.tables {
		if err := exportLinks(ctx, tx, d, t, func(row []byte) error { return to.link(ctx, i, row) }); err != nil {
			return m, fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	return m, nil
}

// exportLinks reads keys and links of the rows that have any.
func exportLinks(ctx context.Context, tx *sql.Tx, d dialect, t *table, emit func([]byte) error) error {
	links := t.links()
	if len(links) == 0 {
		return nil
	}
	var cols []column
	for _, name := range slices.Concat(t.key, links) {
		cols = append(cols, *t.column(name))
	}
	condition := ""
	for i, name := range links {
		if i > 0 {
			condition += " OR "
		}
		condition += quote(name) + " IS NOT NULL"
	}
	return scan(ctx, d, tx, t, cols, condition, nil, emit)
}

// checkOwner looks whether the tenant's column, in a home of the tenant's own, says
// what it should: archives do not hold it.
func (t *table) checkOwner(ctx context.Context, tx *sql.Tx, id tenant.ID) error {
	if t.owner == "" || t.filled {
		return nil
	}
	var others int64
	err := tx.QueryRowContext(ctx, "SELECT count(*) FROM "+t.ref+" WHERE CAST("+t.owner+" AS text) <> $1 OR "+t.owner+" IS NULL", string(id)).Scan(&others)
	if err == nil && others > 0 {
		err = fmt.Errorf("%w: table %s has %d rows with another %s than %s; if it is no tenant's ID, use TenantColumn",
			ErrUnsupported, t.name, others, t.owner, id)
	}
	return err
}

// rounding returns d, with times rounded if the host wants that.
func (a *Archiver) rounding(d dialect) dialect {
	if _, ok := d.(sqliteDialect); ok && a.roundTimes {
		return sqliteDialect{round: true}
	}
	return d
}
