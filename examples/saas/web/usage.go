package web

import (
	"net/http"
	"time"

	"github.com/tenancy-go/tenancy/examples/saas/workspace"
	"github.com/tenancy-go/tenancy/quota"
)

// usageBody is the body of the usage page.
type usageBody struct {
	workspace.Usage
	Chart  chart
	Plan   *quota.Resolved
	Groups []meterGroup
	Offers []offer
}

func (m *Room) usage(w http.ResponseWriter, r *http.Request) {
	account, err := m.plans.enforcer.Account(r.Context())
	if err != nil {
		m.ui.failure(w, r, err)
		return
	}
	all, err := m.plans.all(r.Context())
	if err != nil {
		m.ui.failure(w, r, err)
		return
	}
	usage, err := m.work.Usage(r.Context(), m.history(account))
	if err != nil {
		m.ui.failure(w, r, err)
		return
	}
	limits, err := account.Usage(r.Context())
	if err != nil {
		m.ui.failure(w, r, err)
		return
	}
	m.show(w, r, http.StatusOK, "usage", roomPage{Title: "Usage", Section: "usage", Body: usageBody{
		Usage: usage, Chart: chartOf(usage.Days), Plan: account.Plan(),
		Groups: metersOf(limits, time.Now()), Offers: offers(all, account.Plan(), m.modelNames()),
	}})
}

// history returns how many days the tenant's plan lets it look back.
func (m *Room) history(account *quota.Account) int {
	if days, ok := account.Value(m.plans.history).(int64); ok && days > 0 {
		return int(days)
	}
	return usageDays
}

func (m *Room) modelNames() []string {
	names := make([]string, len(m.work.Models()))
	for i, model := range m.work.Models() {
		names[i] = model.Name()
	}
	return names
}
