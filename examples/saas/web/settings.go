package web

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/tenancy-go/tenancy/examples/saas/signup"
	"github.com/tenancy-go/tenancy/tenant"
)

// SaveTenant stores a tenant's record and makes every process see it.
type SaveTenant func(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error)

// settingsBody is the body of the settings page.
type settingsBody struct {
	Name, Accent string
	Swatches     []Swatch
	Plan         string // title
	Conflict     bool   // somebody else saved in between
}

func (m *Room) settings(w http.ResponseWriter, r *http.Request) {
	t, err := tenant.FromContext(r.Context())
	if err != nil {
		m.ui.failure(w, r, err)
		return
	}
	m.showSettings(w, r, http.StatusOK, settingsBody{Name: t.Name, Accent: accentOf(t)}, draft{})
}

func (m *Room) showSettings(w http.ResponseWriter, r *http.Request, status int, body settingsBody, typed draft) {
	account, err := m.plans.enforcer.Account(r.Context())
	if err != nil {
		m.ui.failure(w, r, err)
		return
	}
	body.Swatches, body.Plan = Swatches(), account.Plan().Title
	m.show(w, r, status, "settings", roomPage{Title: "Settings", Section: "settings", Draft: typed, Body: body})
}

func (m *Room) saveSettings(w http.ResponseWriter, r *http.Request) {
	t, err := tenant.FromContext(r.Context())
	if err == nil {
		err = r.ParseForm()
	}
	if err != nil {
		m.ui.failure(w, r, err)
		return
	}
	t = t.Clone() // the context's is shared by all requests
	if plan := r.PostForm.Get("plan"); plan != "" {
		m.changePlan(w, r, t, plan)
		return
	}
	t.Name = strings.Join(strings.Fields(r.PostForm.Get("name")), " ")
	if t.Settings == nil {
		t.Settings = make(map[string]string)
	}
	t.Settings[signup.SettingAccent] = r.PostForm.Get("accent")
	body := settingsBody{Name: t.Name, Accent: r.PostForm.Get("accent")}

	if faults := settingsFaults(t); len(faults) > 0 {
		m.showSettings(w, r, http.StatusUnprocessableEntity, body, draft{Faults: faults})
		return
	}
	switch _, err = m.save(r.Context(), t); {
	case errors.Is(err, tenant.ErrConflict):
		body.Conflict = true
		m.showSettings(w, r, http.StatusConflict, body, draft{})
	case err != nil:
		m.ui.failure(w, r, err)
	default:
		redirect(w, r, "/settings")
	}
}

func settingsFaults(t tenant.Tenant) map[string]string {
	faults := make(map[string]string)
	if fault := signup.NameFault(t.Name); fault != "" {
		faults["name"] = fault
	}
	if !signup.ValidAccent(t.Settings[signup.SettingAccent]) {
		faults["accent"] = "Choose one of the colours."
	}
	return faults
}
