package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"github.com/tenancy-go/tenancy/isolation/archive"
	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/tenant"
)

func exportEntry() entry {
	return entry{
		name: "export", args: "TENANT", least: 1, most: 1, new: func() command { return &exportCommand{} },
		summary: "Write one tenant to a file, as it is at one moment",
		help: `The tenant goes on working meanwhile. The file is there when it is whole, and
readable by its owner alone. What is sealed in the tables stays so; -encrypt
seals the whole file with a key of the tenant's own.`,
	}
}

type exportCommand struct {
	file           string
	encrypt, force bool
}

func (c *exportCommand) flags(fs *flag.FlagSet) {
	fs.StringVar(&c.file, "o", "", "`file` to write; else TENANT.archive")
	fs.BoolVar(&c.encrypt, "encrypt", false, "seal the file with the tenant's key")
	fs.BoolVar(&c.force, "force", false, "replace a file that is there")
}

type exportResult struct {
	Tenant    tenant.ID      `json:"tenant"`
	File      string         `json:"file"`
	Bytes     int64          `json:"bytes"`
	Encrypted bool           `json:"encrypted"`
	Seconds   float64        `json:"seconds"`
	Rows      int64          `json:"rows"`
	Version   string         `json:"version"`
	Tables    []archiveTable `json:"tables"`
}

type archiveTable struct {
	Name string `json:"name"`
	Rows int64  `json:"rows"`
	Hash string `json:"hash"`
}

func tablesOf(m archive.Manifest) []archiveTable {
	tables := make([]archiveTable, 0, len(m.Tables))
	for _, t := range m.Tables {
		tables = append(tables, archiveTable{t.Name, t.Rows, t.Hash})
	}
	return tables
}

func printTables(w io.Writer, tables []archiveTable) {
	rows := make([][]string, 0, len(tables))
	for _, t := range tables {
		rows = append(rows, []string{t.Name, fmt.Sprint(t.Rows), t.Hash[:min(16, len(t.Hash))]})
	}
	writeTable(w, []string{"TABLE", "ROWS", "HASH"}, rows)
}

func (r exportResult) print(w io.Writer) {
	sealed := ""
	if r.Encrypted {
		sealed = ", sealed with its key"
	}
	fmt.Fprintf(w, "%s: %s of %s at schema version %s in %s%s\n", r.File, count(r.Rows, "row"), r.Tenant, r.Version, size(r.Bytes), sealed)
	printTables(w, r.Tables)
}

func (c *exportCommand) run(ctx context.Context, s *session, args []string) (result, error) {
	p, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	t, err := p.find(ctx, args[0])
	if err != nil {
		return nil, err
	}
	if c.file == "" {
		c.file = string(t.ID) + ".archive"
	}
	if _, err := os.Stat(c.file); !errors.Is(err, fs.ErrNotExist) && !c.force {
		return nil, errors.Join(fmt.Errorf("%s is there already; name another with -o, or use -force", c.file), err)
	}
	from, err := s.source(ctx, p, t, c.encrypt)
	if err != nil {
		return nil, err
	}
	b := s.begin("export "+string(t.ID), 0)
	defer b.end()
	r := exportResult{Tenant: t.ID, File: c.file, Encrypted: c.encrypt}
	start := time.Now()
	err = replaceFile(c.file, func(file *os.File) error {
		counted := &counter{w: file, b: b}
		m, err := from.Export(ctx, t, counted)
		r.Bytes, r.Rows, r.Version, r.Tables = counted.n.Load(), m.Rows(), m.SchemaVersion, tablesOf(m)
		return err
	})
	if err != nil {
		return nil, err
	}
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

// source returns the archiver of the cell that t lives in, once t's home is at the
// version that the archive will name.
func (s *session) source(ctx context.Context, p *platform, t tenant.Tenant, encrypt bool) (*archive.Archiver, error) {
	if err := p.current(ctx, t); err != nil {
		return nil, err
	}
	c, err := p.home(ctx, t)
	if err != nil {
		return nil, err
	}
	var opts []archive.Option
	if encrypt {
		opts = append(opts, archive.Encrypt(tenantCipher{p.keys}))
	}
	return s.archiver(p, c, opts...)
}

// counter counts and shows what passes.
type counter struct {
	w io.Writer
	r io.Reader
	b *bar
	n atomic.Int64
}

func (c *counter) Write(data []byte) (int, error) {
	n, err := c.w.Write(data)
	c.told(n)
	return n, err
}

func (c *counter) Read(data []byte) (int, error) {
	n, err := c.r.Read(data)
	c.told(n)
	return n, err
}

func (c *counter) told(n int) { c.b.set(0, 0, size(c.n.Add(int64(n)))) }

// tenantCipher seals archives with a key of the tenant's own, which shredding destroys.
type tenantCipher struct{ keys *envelope.Keys }

// archives is what the key is for.
const archives envelope.Purpose = "archives"

func (tenantCipher) Name() string { return "tenant" }

func (c tenantCipher) Encrypt(ctx context.Context, id tenant.ID, w io.Writer) (io.WriteCloser, error) {
	return c.keys.Writer(tenant.NewContext(ctx, tenant.Tenant{ID: id}), w, archives, "")
}

func (c tenantCipher) Decrypt(ctx context.Context, id tenant.ID, r io.Reader) (io.Reader, error) {
	return c.keys.Reader(tenant.NewContext(ctx, tenant.Tenant{ID: id}), r, archives, "")
}
