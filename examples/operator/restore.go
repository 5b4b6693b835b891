package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/tenancy-go/tenancy/isolation/archive"
	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/tenant"
)

func restoreEntry() entry {
	return entry{
		name: "restore", args: "FILE", least: 1, most: 1, new: func() command { return &restoreCommand{} },
		summary: "Put an exported tenant back: all of its rows, or none",
		help: `Reads the whole file and checks every row of it, then makes the tenant, if
there is none, and its home, and puts the rows in, in one transaction that ends
by reading them back. A home with rows is refused without -replace, and an
archive with fields that no key opens any more, as after rotate-keys -retire,
without -lost-fields.`,
	}
}

type restoreCommand struct {
	as, cell                         string
	replace, otherSchema, lostFields bool
}

func (c *restoreCommand) flags(fs *flag.FlagSet) {
	fs.StringVar(&c.as, "as", "", "`tenant` to restore as; else the one that was exported")
	fs.StringVar(&c.cell, "cell", "", "`cell` of a tenant that is not there yet; else the default")
	fs.BoolVar(&c.replace, "replace", false, "delete the rows that the tenant has, in the same transaction")
	fs.BoolVar(&c.otherSchema, "other-schema", false, "take an archive of another schema version")
	fs.BoolVar(&c.lostFields, "lost-fields", false, "restore sealed fields that no key opens any more, as they are")
}

type restoreResult struct {
	Tenant  tenant.ID      `json:"tenant"`
	From    tenant.ID      `json:"from"` // who was exported
	Cell    string         `json:"cell"`
	Taken   time.Time      `json:"taken"` // when
	Rows    int64          `json:"rows"`
	Sealed  int            `json:"sealed"` // fields that were sealed anew, for another tenant
	Seconds float64        `json:"seconds"`
	Tables  []archiveTable `json:"tables"`
}

func (r restoreResult) print(w io.Writer) {
	fmt.Fprintf(w, "%s: %s of %s, as they were at %s\n", where(r.Tenant, r.Cell), count(r.Rows, "row"), r.From, r.Taken.Format(time.RFC3339))
	if r.Sealed > 0 {
		fmt.Fprintf(w, "%s sealed anew with the key of %s\n", count(r.Sealed, "field"), r.Tenant)
	}
	printTables(w, r.Tables)
}

func (c *restoreCommand) run(ctx context.Context, s *session, args []string) (result, error) {
	p, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(args[0])
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b := s.begin("restore", 0)
	defer b.end()
	start := time.Now()
	m, cipher, err := p.check(ctx, file, b)
	if err != nil {
		return nil, err
	}
	in := arrival{from: m.Tenant, cell: c.cell, opts: c.options(m), lostFields: c.lostFields}
	if cipher != nil {
		in.archiver = append(in.archiver, archive.Encrypt(cipher))
	}
	who := m.Tenant
	if c.as != "" {
		who = tenant.ID(c.as)
	}
	r, err := s.arrive(ctx, p, tenant.Tenant{ID: who, Slug: string(who), Name: string(who)}, in, &counter{r: file, b: b})
	r.Taken, r.Seconds = m.Created, time.Since(start).Seconds()
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (c *restoreCommand) options(m archive.Manifest) (opts []archive.RestoreOption) {
	if c.as != "" && c.as != string(m.Tenant) {
		opts = append(opts, archive.AsClone())
	}
	if c.replace {
		opts = append(opts, archive.Replace())
	}
	if c.otherSchema {
		opts = append(opts, archive.OtherSchema())
	}
	return opts
}

// check reads an archive to its end, and returns the cipher that opens it, if it is
// encrypted. The file is at its beginning afterwards.
func (p *platform) check(ctx context.Context, file *os.File, b *bar) (archive.Manifest, archive.Cipher, error) {
	var cipher archive.Cipher
	m, err := archive.Verify(ctx, &counter{r: file, b: b}, nil)
	if errors.Is(err, archive.ErrUnsupported) {
		cipher = tenantCipher{p.keys}
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return m, nil, err
		}
		m, err = archive.Verify(ctx, &counter{r: file, b: b}, cipher)
	}
	if err != nil {
		return m, nil, err
	}
	_, err = file.Seek(0, io.SeekStart)
	return m, cipher, err
}

// arrival says how rows come in.
type arrival struct {
	from     tenant.ID // whose they were
	cell     string    // of a tenant that is not there yet
	opts     []archive.RestoreOption
	archiver []archive.Option

	lostFields bool // fields that do not open may come
}

// arrive puts an archive's rows into a tenant, which it makes if there is none. A tenant
// that it makes is active once all is there.
func (s *session) arrive(ctx context.Context, p *platform, t tenant.Tenant, in arrival, r io.Reader) (restoreResult, error) {
	t, _, err := p.make(ctx, t, in.cell)
	if err != nil {
		return restoreResult{}, err
	}
	if err := p.current(ctx, t); err != nil {
		return restoreResult{}, err
	}
	c, err := p.home(ctx, t)
	if err != nil {
		return restoreResult{}, err
	}
	to, err := s.archiver(p, c, in.archiver...)
	if err != nil {
		return restoreResult{}, err
	}
	if t.Status == tenant.StatusProvisioning { // what an interrupted call has left
		in.opts = append(in.opts, archive.Replace())
	}
	result := restoreResult{Tenant: t.ID, From: in.from, Cell: c.Name}
	in.opts = append(in.opts, archive.BeforeCommit(func(ctx context.Context, tx *sql.Tx) (err error) {
		switch {
		case in.from != t.ID:
			result.Sealed, err = p.adopt(ctx, tx, in.from, t)
		case !in.lostFields:
			err = p.opens(ctx, tx, t)
		}
		return err
	}))
	m, err := to.Restore(ctx, t, r, in.opts...)
	switch {
	case errors.Is(err, archive.ErrOccupied):
		err = fmt.Errorf("%s has rows already, which -replace deletes: %w", where(t.ID, c.Name), err)
	case errors.Is(err, archive.ErrSchema) && strings.Contains(err.Error(), "OtherSchema"):
		err = fmt.Errorf("%w (here: -other-schema)", err)
	}
	if err != nil {
		return restoreResult{}, err
	}
	result.Taken, result.Rows, result.Tables = m.Created, m.Rows(), tablesOf(m)
	_, err = p.activate(ctx, t)
	return result, err
}

// opens returns an error if a tenant's keys do not open a sealed field.
func (p *platform) opens(ctx context.Context, db executor, t tenant.Tenant) error {
	ours := tenant.NewContext(ctx, t)
	for _, cells := range sealedColumns() {
		lost, err := unopened(ours, p.keys, db, cells)
		if err != nil {
			return err
		}
		if lost > 0 {
			return fmt.Errorf("%s in %s are sealed with keys of %s that were retired or destroyed since: an older archive, "+
				"or -lost-fields to restore them as they are", count(lost, "field"), cells.Column, t.ID)
		}
	}
	return nil
}

// unopened counts the fields of a column that no key opens.
func unopened(ctx context.Context, keys *envelope.Keys, db executor, cells envelope.Cells) (lost int, err error) {
	err = eachSealed(ctx, db, cells, func(f sealedField) error {
		plaintext, err := keys.Open(ctx, cells.Column, f.sealed)
		clear(plaintext)
		if errors.Is(err, envelope.ErrOpen) || errors.Is(err, envelope.ErrShredded) {
			lost++
			return nil
		}
		return err
	})
	return lost, err
}
