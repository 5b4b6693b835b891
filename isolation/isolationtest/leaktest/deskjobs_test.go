package leaktest_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"strings"

	"github.com/tenancy-go/tenancy/isolation/isolationtest/leaktest"
	"github.com/tenancy-go/tenancy/tenant"
)

// digest is a job of each tenant: the titles of its notes.
func (d *desk) digest(ctx context.Context) ([]leaktest.Output, error) {
	if d.has(jobOfFirst) {
		ctx = tenant.NewContext(ctx, d.first)
	}
	found, err := d.notes(ctx, "ORDER BY created DESC LIMIT 50")
	if err != nil {
		return nil, err
	}
	var titles strings.Builder
	for _, n := range found {
		titles.WriteString(n.Title + "\n")
	}
	return []leaktest.Output{{Name: "mail", Data: []byte(titles.String())}}, nil
}

// worker takes what is in a tenant's queue and sends it.
func (d *desk) worker(ctx context.Context) ([]leaktest.Output, error) {
	lookup := ctx
	if d.has(queueWithoutTenant) {
		lookup = tenant.System(ctx, "a mistake")
	}
	found, err := d.notes(lookup, "WHERE id IN (SELECT note FROM queue)")
	if d.has(queueWithoutTenant) {
		found, err = d.published(ctx, lookup)
	}
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(found)
	return []leaktest.Output{{Name: "published notes", Data: data}}, err
}

func (d *desk) published(ctx, lookup context.Context) ([]note, error) {
	rows, err := d.db.QueryContext(ctx, "SELECT note FROM queue")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	var found []note
	for _, id := range ids {
		notes, err := d.notes(lookup, "WHERE id = $1", id)
		if err != nil {
			return nil, err
		}
		found = append(found, notes...)
	}
	return found, rows.Err()
}

// webhooks is a job of the platform: what is new, to each tenant.
func (d *desk) webhooks(ctx context.Context) ([]leaktest.Output, error) {
	var outputs []leaktest.Output
	for id, t := range d.byID {
		of := tenant.NewContext(ctx, t)
		if d.has(webhookOfAll) {
			of = ctx
		}
		found, err := d.notes(of, "ORDER BY created DESC LIMIT 200")
		if err != nil {
			return nil, err
		}
		data, err := json.Marshal(found)
		if err != nil {
			return nil, err
		}
		outputs = append(outputs, leaktest.Output{Name: "webhook", For: id, Data: data})
	}
	return outputs, nil
}

// cached lists the cache of a tenant.
func (d *desk) cached(_ context.Context, t tenant.Tenant) ([]leaktest.Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var entries []leaktest.Entry
	for key, data := range d.cache {
		if strings.HasPrefix(key, t.ID.String()+" ") || d.has(cacheEntryOfOthers) {
			entries = append(entries, leaktest.Entry{Name: key, Data: data})
		}
	}
	return entries, nil
}

// files are those of a tenant.
func (d *desk) files(t tenant.Tenant) fs.FS {
	if d.has(filesListed) {
		return os.DirFS(d.dir)
	}
	return os.DirFS(d.tree(t.ID))
}
