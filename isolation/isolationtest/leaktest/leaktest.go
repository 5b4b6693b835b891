package leaktest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"testing"
)

// TestApplication looks for leaks, and fails the test with a report if there are any, or if
// too little was reached to say so. The report of a clean run is logged.
func TestApplication(t *testing.T, app Application) {
	t.Helper()
	report, err := FindLeaks(t.Context(), app)
	if err != nil {
		t.Fatal(err)
	}
	if report.Err() != nil {
		t.Error(report)
		return
	}
	t.Log(report)
}

// FindLeaks is [TestApplication] without a test. Its error means that app could not be
// checked at all; [Report.Err] says what was found.
func FindLeaks(ctx context.Context, app Application) (Report, error) {
	app = app.withDefaults()
	if err := app.validate(); err != nil {
		return Report{}, err
	}
	k := newKit(app)
	var err error
	if k.routes, err = routeTable(app.Routes); err != nil {
		return Report{}, fmt.Errorf("leaktest: %w", err)
	}
	if err := k.run(ctx); err != nil {
		return Report{}, err
	}
	return k.result(), nil
}

// kit is an application under test.
type kit struct {
	app       Application
	actors    []*actor
	canaries  *canaries
	scanner   *scanner
	collected *collection
	coverage  *coverage
	routes    *http.ServeMux
	sqlite    bool
	logsGiven bool
	storming  bool // many requests at once: what is logged belongs to whom its context says

	canaryPatterns []*regexp.Regexp // by tenant
}

func newKit(app Application) *kit {
	k := &kit{app: app, logsGiven: app.Logs != nil, canaries: newCanaries(len(app.Tenants)), collected: newCollection(), coverage: newCoverage()}
	if !k.logsGiven {
		k.app.Logs = NewLogs()
	}
	k.scanner = newScanner(k.canaries.words)
	k.app.Logs.know(app.Tenants)
	for i, t := range app.Tenants {
		k.actors = append(k.actors, newActor(i, t))
		k.canaryPatterns = append(k.canaryPatterns, regexp.MustCompile(`(?i)`+k.canaries.words[i]+`[0-9a-z]{4}`))
	}
	return k
}

func (k *kit) problem(format string, args ...any) { k.collected.problem(format, args...) }

func (k *kit) run(ctx context.Context) error {
	if k.app.DB != nil {
		var err error
		if k.sqlite, err = speaksSQLite(k.actors[0].in(ctx), k.app.DB); err != nil {
			return err
		}
	}
	for _, t := range k.actors {
		if err := k.plant(ctx, t); err != nil {
			return err
		}
		if err := k.login(ctx, t); err != nil {
			return err
		}
	}
	sound, err := k.record(ctx)
	if err != nil {
		return err
	}
	if err := k.aside(ctx, "what the tenants do themselves"); err != nil {
		return err
	}
	for _, s := range sound {
		if err := k.attackScenario(ctx, s); err != nil {
			return err
		}
	}
	if err := k.storm(ctx); err != nil {
		return err
	}
	return k.aside(ctx, "everything at once")
}

// aside runs the jobs and looks at what tenants can read without a request.
func (k *kit) aside(ctx context.Context, after string) error {
	if err := k.work(ctx); err != nil {
		return err
	}
	return k.sweep(ctx, "rows and stores", "after "+after)
}

// record runs each scenario as each tenant, twice, since the first run of the first
// tenant sees nobody else's data. It returns the scenarios that work for all.
func (k *kit) record(ctx context.Context) ([]*Scenario, error) {
	broken := make(map[string]bool)
	for range 2 {
		for _, t := range k.actors {
			for i := range k.app.Scenarios {
				s := &k.app.Scenarios[i]
				if broken[s.Name] {
					continue
				}
				err := k.recordOne(ctx, s, t)
				if errors.Is(err, errStep) {
					broken[s.Name] = true
					k.problem("scenario %s was given up: %v", s.Name, err)
				} else if err != nil {
					return nil, err
				}
			}
		}
	}
	var sound []*Scenario
	for i := range k.app.Scenarios {
		if s := &k.app.Scenarios[i]; !broken[s.Name] {
			sound = append(sound, s)
		}
	}
	return sound, nil
}

// recordOne runs a scenario as a tenant. No other tenant may see any of it.
func (k *kit) recordOne(ctx context.Context, s *Scenario, t *actor) error {
	before, err := k.snapshots(ctx, t)
	if err != nil {
		return err
	}
	if _, err := k.upTo(ctx, s, len(s.Steps), t); err != nil {
		return err
	}
	after, err := k.snapshots(ctx, t)
	if err != nil {
		return err
	}
	for i, other := range k.actors {
		for _, table := range before[i].changed(after[i]) {
			e := evidence{scenario: s.Name, step: "all steps", attack: "none: its own requests", by: t}
			k.report(Finding{Kind: Write, Where: "table " + table, Owner: other.ID}, e)
		}
	}
	return nil
}

// snapshots returns what everybody but t sees.
func (k *kit) snapshots(ctx context.Context, t *actor) ([]snapshot, error) {
	all := make([]snapshot, len(k.actors))
	for i, other := range k.actors {
		if other == t {
			continue
		}
		var err error
		if all[i], err = k.snapshot(ctx, other, evidence{}); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (k *kit) attackScenario(ctx context.Context, s *Scenario) error {
	for _, by := range k.actors {
		for _, victim := range k.actors {
			if by == victim {
				continue
			}
			for n := range s.Steps {
				err := k.attackStep(ctx, s, n, by, victim)
				if errors.Is(err, errStep) {
					k.problem("attacks of %s on %s at %s were given up: %v", by.ID, victim.ID, s.Steps[n], err)
				} else if err != nil {
					return err
				}
			}
		}
	}
	return k.sweep(ctx, s.Name, "after all attacks")
}

// result judges what was reached, and returns the report.
func (k *kit) result() Report {
	k.judge()
	findings, problems := k.collected.all()
	return Report{Findings: findings, Problems: problems, Coverage: k.summary()}
}
