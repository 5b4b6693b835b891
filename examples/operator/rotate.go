package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/tenant"
)

func rotateEntry() entry {
	return entry{
		name: "rotate-keys", summary: "Replace keys, and seal anew what the old ones have sealed", new: func() command { return &rotateCommand{} },
		help: `Three kinds of keys are rotated, or those of -only:

  wrapping  the key that wraps all tenants' data keys; they are wrapped anew
  data      each tenant's own key; the sealed columns are sealed anew
  signing   the key that signs tenants for shared rows; nothing is interrupted

With several processes, go in three steps, and restart the processes with the
same files after each: -prepare adds new keys without using them; then without
a flag; then -retire destroys old keys that nothing needs any more, once every
process has heard of the new ones (key_ttl in the configuration).

Interrupted, run it again: tenants whose data key is younger than -max-age are
not given another, and what is sealed anew already is passed over.`,
	}
}

type rotateCommand struct {
	prepare, retire bool
	only            string
	maxAge          time.Duration
}

func (c *rotateCommand) flags(fs *flag.FlagSet) {
	fs.BoolVar(&c.prepare, "prepare", false, "only make new wrapping and signing keys known")
	fs.BoolVar(&c.retire, "retire", false, "destroy the keys that were replaced, where nothing needs them")
	fs.StringVar(&c.only, "only", "wrapping,data,signing", "`kinds` of keys")
	fs.DurationVar(&c.maxAge, "max-age", 24*time.Hour, "`age` from which on a data key is replaced")
}

type rotateResult struct {
	Wrapping *wrappingResult `json:"wrapping,omitempty"`
	Data     *dataResult     `json:"data,omitempty"`
	Signing  []signingResult `json:"signing,omitempty"`
}

type wrappingResult struct {
	Key       string   `json:"key"`   // that wraps now
	Known     []string `json:"known"` // all keys of the file
	Rewrapped int      `json:"rewrapped"`
	Current   int      `json:"current"` // data keys that it wrapped already
	Lost      int      `json:"lost"`    // data keys that no key unwraps
	Retired   []string `json:"retired,omitempty"`
}

type dataResult struct {
	Tenants int `json:"tenants"`
	Rotated int `json:"rotated"` // tenants that got a new key
	Sealed  int `json:"sealed"`  // fields that were sealed anew
	Failed  int `json:"failed"`  // fields that do not open; they stay as they are
	Retired int `json:"retired"` // old versions that were destroyed
	Early   int `json:"early"`   // tenants whose key is too young for that
}

type signingResult struct {
	Cell    string   `json:"cell"`
	Key     string   `json:"key"`   // that signs now
	Known   []string `json:"known"` // all keys of the file
	Retired []string `json:"retired,omitempty"`
}

func (r rotateResult) print(w io.Writer) {
	if k := r.Wrapping; k != nil {
		anew := ""
		if k.Rewrapped+k.Current > 0 {
			anew = fmt.Sprintf("; %s wrapped anew, %d were current", count(k.Rewrapped, "key"), k.Current)
		}
		fmt.Fprintf(w, "wrapping  %s wraps%s%s%s\n", k.Key, anew, others(k.Known, k.Key), retired(k.Retired))
		if k.Lost > 0 {
			fmt.Fprintf(w, "          %s cannot be unwrapped\n", count(k.Lost, "key"))
		}
	}
	if d := r.Data; d != nil {
		fmt.Fprintf(w, "data      %s, %d with a new key; %s sealed anew, %d failed; %s retired\n",
			count(d.Tenants, "tenant"), d.Rotated, count(d.Sealed, "field"), d.Failed, count(d.Retired, "version"))
		if d.Early > 0 {
			fmt.Fprintf(w, "          %s too young to retire the old one; try later\n", count(d.Early, "key"))
		}
	}
	for _, k := range r.Signing {
		fmt.Fprintf(w, "signing   %s signs in cell %s%s%s\n", k.Key, k.Cell, others(k.Known, k.Key), retired(k.Retired))
	}
}

func others(known []string, current string) string {
	left := slices.DeleteFunc(slices.Clone(known), func(id string) bool { return id == current })
	if len(left) == 0 {
		return ""
	}
	return "; known: " + strings.Join(left, ", ")
}

func retired(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return "; retired: " + strings.Join(ids, ", ")
}

func (c *rotateCommand) run(ctx context.Context, s *session, _ []string) (result, error) {
	kinds := strings.Split(c.only, ",")
	for _, kind := range kinds {
		if kind != "wrapping" && kind != "data" && kind != "signing" {
			return nil, usagef("-only %s: want wrapping, data or signing", kind)
		}
	}
	if c.prepare && c.retire {
		return nil, usagef("want -prepare or -retire")
	}
	p, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	var r rotateResult
	if slices.Contains(kinds, "wrapping") {
		if r.Wrapping, err = c.wrapping(ctx, s, p); err != nil {
			return r, fmt.Errorf("wrapping keys: %w", err)
		}
	}
	if slices.Contains(kinds, "data") && !c.prepare {
		if r.Data, err = c.data(ctx, s, p); err != nil {
			return r, fmt.Errorf("data keys: %w", err)
		}
	}
	if slices.Contains(kinds, "signing") {
		if r.Signing, err = c.signing(ctx, p); err != nil {
			return r, fmt.Errorf("signing keys: %w", err)
		}
	}
	return r, r.lost()
}

// lost returns an error if something does not open.
func (r rotateResult) lost() error {
	var errs []error
	if r.Wrapping != nil && r.Wrapping.Lost > 0 {
		errs = append(errs, fmt.Errorf("%s cannot be unwrapped", count(r.Wrapping.Lost, "key")))
	}
	if r.Data != nil && r.Data.Failed > 0 {
		errs = append(errs, fmt.Errorf("%s not opened", count(r.Data.Failed, "field")))
	}
	return errors.Join(errs...)
}

// wrapping goes to the next wrapping key: the one that -prepare added, or a new one.
func (c *rotateCommand) wrapping(ctx context.Context, s *session, p *platform) (*wrappingResult, error) {
	path := p.config.secret(wrappingKeys)
	ids, current, err := wrappingIDs(path)
	if err != nil {
		return nil, err
	}
	system := tenant.System(ctx, "operator rotate-keys")
	if c.retire {
		return c.retireWrapping(system, p, path, ids, current)
	}
	next := slices.Max(ids) // IDs are times
	if next == current {
		next = newKeyID()
		if err := envelope.AddKey(path, next); err != nil {
			return nil, err
		}
	}
	if c.prepare {
		ids, current, err = wrappingIDs(path)
		return &wrappingResult{Key: current, Known: ids}, err
	}
	if err := envelope.MakeCurrent(path, next); err != nil {
		return nil, err
	}
	return c.rewrap(system, s, p, path)
}

// rewrap wraps all data keys with the current wrapping key.
func (c *rotateCommand) rewrap(ctx context.Context, s *session, p *platform, path string) (*wrappingResult, error) {
	if err := s.openKeys(p)(ctx); err != nil { // of the changed file
		return nil, err
	}
	ids, current, err := wrappingIDs(path)
	if err != nil {
		return nil, err
	}
	b := s.begin("wrap keys anew", 0)
	defer b.end()
	report, err := p.keys.Rewrap(ctx, func(r envelope.RewrapReport) { b.set(0, 0, count(r.Rewrapped, "key")) })
	return &wrappingResult{Key: current, Known: ids, Rewrapped: report.Rewrapped, Current: report.Current, Lost: len(report.Failed)}, err
}

// retireWrapping removes wrapping keys that wrap nothing any more.
func (c *rotateCommand) retireWrapping(ctx context.Context, p *platform, path string, ids []string, current string) (*wrappingResult, error) {
	used, err := p.keys.WrappingKeys(ctx)
	if err != nil {
		return nil, err
	}
	r := &wrappingResult{Key: current, Current: used[current]}
	for _, id := range ids {
		if id >= current || used[id] > 0 { // it is prepared, or needed
			continue
		}
		if err := envelope.RemoveKey(path, id); err != nil {
			return r, err
		}
		r.Retired = append(r.Retired, id)
	}
	r.Known, _, err = wrappingIDs(path)
	return r, err
}

// data gives tenants new keys, and seals their columns anew; with -retire it destroys
// the old versions.
func (c *rotateCommand) data(ctx context.Context, s *session, p *platform) (*dataResult, error) {
	db, err := s.database(p)
	if err != nil {
		return nil, err
	}
	var tenants []tenant.Tenant
	for t, err := range p.all(ctx) {
		if err != nil {
			return nil, err
		}
		if t.Status != tenant.StatusProvisioning {
			tenants = append(tenants, t)
		}
	}
	b := s.begin("seal anew", len(tenants))
	defer b.end()
	r := &dataResult{}
	for i, t := range tenants {
		b.set(i, len(tenants), string(t.ID))
		if err := c.dataOf(tenant.NewContext(ctx, t), p, t, db, r); err != nil {
			return r, fmt.Errorf("tenant %s: %w", t.ID, err)
		}
		r.Tenants++
	}
	b.set(len(tenants), len(tenants), "")
	return r, nil
}

// dataOf does so for ctx's tenant.
func (c *rotateCommand) dataOf(ctx context.Context, p *platform, t tenant.Tenant, db envelope.DB, r *dataResult) error {
	versions, err := p.keyStore.Load(ctx, t.ID, envelope.Fields)
	if err != nil || len(versions) == 0 {
		return err // without a key nothing is sealed
	}
	newest := versions[len(versions)-1]
	if !c.retire && time.Since(newest.Created) >= c.maxAge {
		if _, err := p.keys.Rotate(ctx, envelope.Fields); err != nil {
			return err
		}
		r.Rotated++
	}
	failed := r.Failed
	for _, cells := range sealedColumns() {
		report, err := p.keys.Reencrypt(ctx, db, cells, nil)
		r.Sealed, r.Failed = r.Sealed+report.Sealed, r.Failed+len(report.Failed)
		if err != nil {
			return err
		}
	}
	if !c.retire || r.Failed > failed {
		return nil
	}
	n, err := p.keys.Retire(ctx, envelope.Fields, newest.Version)
	if r.Retired += n; errors.Is(err, envelope.ErrTooSoon) {
		r.Early++
		return nil
	}
	return err
}

// signing goes to the next signing key in each cell with shared rows.
func (c *rotateCommand) signing(ctx context.Context, p *platform) ([]signingResult, error) {
	var all []signingResult
	for _, cell := range p.cells {
		if cell.rows == nil {
			continue
		}
		r, err := c.signingOf(ctx, p.config.secret(cell.signingFile()), cell.rows)
		if r.Cell = cell.Name; err != nil {
			return all, fmt.Errorf("cell %s: %w", cell.Name, err)
		}
		all = append(all, r)
	}
	return all, nil
}

// signingOf rotates the keys of one file. The database knows a key before the file
// does, and forgets it after.
func (c *rotateCommand) signingOf(ctx context.Context, path string, rows *row.Strategy) (signingResult, error) {
	keys, err := readSigningKeys(path)
	if err != nil {
		return signingResult{}, err
	}
	if c.retire {
		return retireSigning(ctx, path, rows, keys)
	}
	newest := slices.MaxFunc(keys, func(a, b signingKey) int { return strings.Compare(a.key.ID(), b.key.ID()) })
	if newest.key.ID() == keys[0].key.ID() {
		if newest, err = newSigningKey(newKeyID()); err != nil {
			return signingResult{}, err
		}
		keys = append(keys, newest)
	}
	if err := rows.Rotate(ctx, newest.key); err != nil {
		return signingResult{}, err
	}
	if !c.prepare {
		keys = slices.DeleteFunc(keys, func(k signingKey) bool { return k.key.ID() == newest.key.ID() })
		keys = append([]signingKey{newest}, keys...)
	}
	return signed(keys), writeSigningKeys(path, keys)
}

func signed(keys []signingKey) signingResult {
	r := signingResult{Key: keys[0].key.ID()}
	for _, k := range keys {
		r.Known = append(r.Known, k.key.ID())
	}
	return r
}

// retireSigning takes keys that were replaced out of the database and the file.
func retireSigning(ctx context.Context, path string, rows *row.Strategy, keys []signingKey) (signingResult, error) {
	var gone []string
	for _, k := range slices.Clone(keys[1:]) {
		if k.key.ID() > keys[0].key.ID() {
			continue // prepared
		}
		if err := rows.Retire(ctx, k.key.ID()); err != nil {
			return signed(keys), err
		}
		keys = slices.DeleteFunc(keys, func(other signingKey) bool { return other.key.ID() == k.key.ID() })
		if err := writeSigningKeys(path, keys); err != nil {
			return signed(keys), err
		}
		gone = append(gone, k.key.ID())
	}
	r := signed(keys)
	r.Retired = gone
	return r, nil
}
