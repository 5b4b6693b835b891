package web

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/tenancy-go/tenancy/examples/saas/workspace"
	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// plans answers what plans have, for pages.
type plans struct {
	source   quota.Source
	enforcer *quota.Enforcer

	models, streams, whiteLabel, history quota.Ref
}

func newPlans(source quota.Source, e *quota.Enforcer) plans {
	return plans{
		source: source, enforcer: e, models: e.Ref(workspace.SetModels), streams: e.Ref(limitStreams),
		whiteLabel: e.Ref("white_label"), history: e.Ref("history"),
	}
}

// all returns the plans on offer, the smallest first.
func (p *plans) all(ctx context.Context) ([]quota.Plan, error) {
	catalog, err := p.source.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]quota.Plan, 0)
	for _, plan := range catalog.Plans() {
		all = append(all, plan)
	}
	slices.SortFunc(all, func(a, b quota.Plan) int {
		return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.Name, b.Name))
	})
	return all, nil
}

// with returns the title of the smallest plan that has a model, or "".
func with(all []quota.Plan, model string) string {
	for _, plan := range all {
		if plan.Resources[workspace.SetModels].Allows(model) {
			return plan.Title
		}
	}
	return ""
}

// offer is a plan as the usage page shows it.
type offer struct {
	Name, Title string
	Current     bool
	Larger      bool // than the current one
	Has         []string
}

// offers describes all plans to a tenant that has one of them.
func offers(all []quota.Plan, current *quota.Resolved, models []string) []offer {
	made := make([]offer, len(all))
	for i, plan := range all {
		made[i] = offer{
			Name: plan.Name, Title: plan.Title, Current: plan.Name == current.Name, Larger: plan.Rank > current.Rank,
			Has: contents(plan, models),
		}
	}
	return made
}

// contents lists what a plan has, for people.
func contents(plan quota.Plan, models []string) []string {
	var has []string
	for _, limit := range []string{"requests", workspace.LimitWords} {
		if l, ok := plan.Limits[limit]; ok {
			has = append(has, windows(limit, l))
		}
	}
	if l, ok := plan.Limits[limitStreams]; ok {
		has = append(has, amount(limitStreams, l.Max)+" written at a time")
	}
	if l, ok := plan.Limits[workspace.LimitDocuments]; ok {
		has = append(has, amount(workspace.LimitDocuments, l.Max)+", "+size(plan.Limits[workspace.LimitStorage].Max))
	}
	return append(append(has, modelsOf(plan, models)), extras(plan)...)
}

// windows writes the windows of a rate: "60 requests a minute, 1,000 an hour".
func windows(limit string, l quota.Limit) string {
	parts := make([]string, len(l.Windows))
	for i, w := range l.Windows {
		parts[i] = number(int(w.Limit)) + " " + each(w.Per)
		if i == 0 {
			parts[i] = amount(limit, w.Limit) + " " + each(w.Per)
		}
	}
	return strings.Join(parts, ", ")
}

// modelsOf names a plan's models, with limits of their own.
func modelsOf(plan quota.Plan, models []string) string {
	set := plan.Resources[workspace.SetModels]
	var named []string
	for _, model := range models {
		if !set.Allows(model) {
			continue
		}
		if own, ok := set.Limits[model]; ok && len(own.Windows) > 0 {
			model += " (" + number(int(own.Windows[0].Limit)) + " " + each(own.Windows[0].Per) + ")"
		}
		named = append(named, model)
	}
	return "Models: " + strings.Join(named, ", ")
}

func extras(plan quota.Plan) []string {
	var has []string
	if days, ok := plan.Features["history"].Value.(int64); ok {
		has = append(has, plural(int(days), "day")+" of history")
	}
	if plan.Features["white_label"].Value == true {
		has = append(has, "Your name alone, without ours")
	}
	return has
}

// changePlan gives the tenant another plan, as a form asks. A product takes payment
// first.
func (m *Room) changePlan(w http.ResponseWriter, r *http.Request, t tenant.Tenant, name string) {
	all, err := m.plans.all(r.Context())
	if err != nil {
		m.ui.failure(w, r, err)
		return
	}
	if !slices.ContainsFunc(all, func(p quota.Plan) bool { return p.Name == name }) {
		m.ui.fail(w, r, http.StatusUnprocessableEntity, "There is no such plan. Choose one of those on the usage page.")
		return
	}
	t.Plan = name
	if _, err := m.save(r.Context(), t); err != nil {
		m.ui.failure(w, r, err)
		return
	}
	redirect(w, r, "/usage#plan")
}
