package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/tenancy-go/tenancy/examples/saas/model"
	"github.com/tenancy-go/tenancy/examples/saas/signup"
	"github.com/tenancy-go/tenancy/examples/saas/web"
	"github.com/tenancy-go/tenancy/examples/saas/workspace"
	"github.com/tenancy-go/tenancy/tenant"
)

// sample is a workspace that exists from the first start.
type sample struct {
	form      signup.Form
	plan      string
	about     string
	documents []note // oldest first, a day and a bit between them
	prompts   []ask  // likewise
}

type note struct {
	title, text string
	summarised  bool
}

type ask struct{ model, text, followUp string }

// demos returns what the front page says about the samples.
func demos() []web.Demo {
	found := make([]web.Demo, len(samples))
	for i, s := range samples {
		found[i] = web.Demo{Name: s.form.Name, Slug: s.form.Slug, About: s.about, Accent: s.form.Accent}
	}
	return found
}

// seed makes the samples that are missing. A sample that somebody deleted stays away.
func seed(ctx context.Context, store tenant.Store, service *signup.Service, db *sql.DB, now time.Time) error {
	for _, s := range samples {
		_, err := store.Find(ctx, tenant.BySlug(s.form.Slug))
		if err == nil {
			continue
		}
		if !errors.Is(err, tenant.ErrNotFound) {
			return fmt.Errorf("seed %s: %w", s.form.Slug, err)
		}
		t, err := service.SignUp(ctx, s.form)
		if err != nil {
			return fmt.Errorf("seed %s: %w", s.form.Slug, err)
		}
		if err := s.fill(tenant.NewContext(ctx, t), db, now); err != nil {
			return fmt.Errorf("seed %s: %w", s.form.Slug, err)
		}
		t.Plan = s.plan
		if _, err := store.Update(ctx, t); err != nil && !errors.Is(err, tenant.ErrConflict) { // another start is as far
			return fmt.Errorf("seed %s: %w", s.form.Slug, err)
		}
	}
	return nil
}

// fill writes the sample's rows through the same code as the pages do, with a clock
// that comes from the past. No plan is charged for them.
func (s sample) fill(ctx context.Context, db *sql.DB, now time.Time) error {
	const step = 31 * time.Hour
	clock := now.Add(-step * time.Duration(len(s.documents)+len(s.prompts)))
	work := workspace.New(db, model.Default(), func() time.Time { return clock })
	for _, n := range s.documents {
		d, err := work.AddDocument(ctx, n.title, n.text)
		if err != nil {
			return err
		}
		if n.summarised {
			if err := work.SummariseDocument(ctx, d.ID); err != nil {
				return err
			}
		}
		clock = clock.Add(step)
	}
	for _, a := range s.prompts {
		c, err := work.Start(ctx, a.model, a.text)
		if err != nil {
			return err
		}
		clock = clock.Add(3 * time.Minute)
		if a.followUp != "" {
			if _, err := work.Prompt(ctx, c.ID, "echo", a.followUp); err != nil {
				return err
			}
		}
		clock = clock.Add(step)
	}
	return nil
}
