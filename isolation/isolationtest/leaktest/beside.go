package leaktest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/tenancy-go/tenancy/tenant"
)

// FileStore is a [Store] of the files that a tenant may read: their names and their
// contents.
func FileStore(name string, tree func(t tenant.Tenant) fs.FS) Store {
	return Store{Name: name, List: func(_ context.Context, t tenant.Tenant) ([]Entry, error) {
		files := tree(t)
		var entries []Entry
		err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
			if path == "." && errors.Is(err, fs.ErrNotExist) {
				return nil // a tenant that has stored nothing
			}
			if err != nil {
				return err
			}
			e := Entry{Name: path}
			if d.Type().IsRegular() {
				if e.Data, err = fs.ReadFile(files, path); err != nil {
					return err
				}
			}
			entries = append(entries, e)
			return nil
		})
		return entries, err
	}}
}

// sweep looks at everything that tenants can read without a request: rows and
// stores. after says what was done before.
func (k *kit) sweep(ctx context.Context, scenario, after string) error {
	for _, t := range k.actors {
		t.tables = nil
		e := evidence{scenario: scenario, step: after, attack: "no request: what the tenant can read afterwards", by: t}
		if _, err := k.snapshot(ctx, t, e); err != nil {
			return err
		}
		for _, s := range k.app.Stores {
			entries, err := s.List(t.in(ctx), t.Tenant.Tenant)
			if err != nil {
				return fmt.Errorf("leaktest: listing %s as %s: %w", s.Name, t.ID, err)
			}
			for _, entry := range entries {
				k.coverage.stored(s.Name)
				k.look(e, s.Name+" entry", append([]byte(entry.Name+"\n"), entry.Data...))
			}
		}
		k.readLogs(e)
	}
	return nil
}

// work runs all jobs, and looks at what they put out.
func (k *kit) work(ctx context.Context) error {
	for _, job := range k.app.Jobs {
		if job.System {
			if err := k.runJob(tenant.System(ctx, "leaktest: job "+job.Name), job, nil); err != nil {
				return err
			}
			continue
		}
		for _, t := range k.actors {
			if err := k.runJob(t.in(ctx), job, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// runJob runs a job for one tenant, or for the platform if t is nil.
func (k *kit) runJob(ctx context.Context, job Job, t *actor) error {
	ctx, cancel := context.WithTimeout(ctx, k.app.Timeout)
	defer cancel()
	by := nobody
	if t != nil {
		by = attribution{t.index}
	}
	k.app.Logs.begin(by)
	outputs, err := job.Run(ctx)
	k.app.Logs.begin(nobody)
	if err != nil {
		return fmt.Errorf("leaktest: job %s: %w", job.Name, err)
	}
	k.coverage.ranJob(job.Name)
	for _, out := range outputs {
		reader, err := k.readerOf(out, t)
		if err != nil {
			k.problem("job %s: %v", job.Name, err)
			continue
		}
		k.coverage.putOut(job.Name)
		k.look(k.jobEvidence(job, reader), "output "+out.Name, out.Data)
	}
	reader := t
	if reader == nil {
		reader = k.actors[0] // only for lines whose context names a tenant
	}
	k.readLogs(k.jobEvidence(job, reader))
	return nil
}

func (k *kit) jobEvidence(job Job, reader *actor) evidence {
	return evidence{scenario: "jobs", step: "job " + job.Name, attack: "the job as it runs", by: reader}
}

func (k *kit) readerOf(out Output, t *actor) (*actor, error) {
	if out.For == "" && t != nil {
		return t, nil
	}
	reader, ok := k.find(out.For)
	if !ok {
		return nil, fmt.Errorf("output %q is for %q, which is no tenant of the kit's", out.Name, out.For)
	}
	return reader, nil
}
