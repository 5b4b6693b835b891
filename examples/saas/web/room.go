package web

import (
	"context"
	"net/http"

	"github.com/tenancy-go/tenancy/examples/saas/workspace"
	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// Room is the site of a workspace, the same code for every tenant. It is served
// behind tenant.Gate, which puts the tenant into the context.
type Room struct {
	ui    *UI
	work  *workspace.Workspace
	save  SaveTenant
	plans plans
}

// NewRoom returns the site of all workspaces. It shows the plans of source, and what
// they enforce.
func NewRoom(ui *UI, work *workspace.Workspace, save SaveTenant, source quota.Source, enforcer *quota.Enforcer) *Room {
	return &Room{ui: ui, work: work, save: save, plans: newPlans(source, enforcer)}
}

// Handler serves a workspace at the root of its host, or below the prefix that the
// Gate has stripped. Requests go through limited, which counts them, save those for a
// page's style sheet, and for the way out of a limit: to see it, and to change the plan.
func (m *Room) Handler(limited func(http.Handler) http.Handler) http.Handler {
	free := http.NewServeMux()
	free.HandleFunc("GET /theme.css", serveTheme)
	free.HandleFunc("GET /usage", m.usage)
	free.HandleFunc("POST /settings", m.saveSettings)
	free.Handle("/", limited(m.pages()))
	return m.ui.logged(free)
}

func (m *Room) pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", m.home)
	mux.HandleFunc("GET /conversations", m.conversations)
	mux.HandleFunc("POST /conversations", m.startConversation)
	mux.HandleFunc("GET /conversations/{id}", m.conversation)
	mux.HandleFunc("POST /conversations/{id}/messages", m.prompt)
	mux.HandleFunc("POST /conversations/{id}/delete", m.deleteConversation)
	mux.HandleFunc("GET /documents", m.documents)
	mux.HandleFunc("POST /documents", m.addDocument)
	mux.HandleFunc("GET /documents/new", m.newDocument)
	mux.HandleFunc("GET /documents/{id}", m.document)
	mux.HandleFunc("POST /documents/{id}/summary", m.summariseDocument)
	mux.HandleFunc("POST /documents/{id}/delete", m.deleteDocument)
	mux.HandleFunc("GET /settings", m.settings)
	mux.HandleFunc("/", m.ui.NotFound)
	return mux
}

// roomPage is what the pages of a workspace show.
type roomPage struct {
	Platform Platform
	Tenant   tenant.Tenant
	Base     string // what links begin with: "" or "/t/acme"
	Title    string
	Section  string // which entry of the menu is current
	Recent   []workspace.Conversation
	ReadOnly bool
	Unnamed  bool          // the platform does not show its name
	Composes bool          // it has a composer
	Model    string        // that the composer chooses, or ""
	Models   []modelChoice // of the composer
	Draft    draft
	Body     any // of the page itself
}

// modelChoice is a model to choose.
type modelChoice struct {
	Name, About string
	Chosen      bool
	Locked      bool   // the tenant's plan does not have it
	In          string // then: the title of a plan that does
}

// draft is what a user typed into a form that was refused, and why.
type draft struct {
	Title, Text string
	Faults      map[string]string
	Upgrade     bool // another plan may help
}

// show answers with a page of the workspace.
func (m *Room) show(w http.ResponseWriter, r *http.Request, status int, name string, page roomPage) {
	t, err := tenant.FromContext(r.Context())
	if err != nil {
		m.ui.failure(w, r, err)
		return
	}
	const recent = 8
	if page.Recent, err = m.work.Conversations(r.Context(), recent); err != nil {
		m.ui.failure(w, r, err)
		return
	}
	account, err := m.plans.enforcer.Account(r.Context())
	if err != nil {
		m.ui.failure(w, r, err)
		return
	}
	page.Platform, page.Tenant, page.Base = m.ui.about, t, base(r)
	if page.Composes {
		if page.Models, err = m.choices(r.Context(), page.Model); err != nil {
			m.ui.failure(w, r, err)
			return
		}
	}
	page.Unnamed = account.Enabled(m.plans.whiteLabel)
	page.ReadOnly = t.Status == tenant.StatusReadOnly
	m.ui.render(w, r, status, name, "room", page)
}

// choices returns the models with one of them chosen: the named one, or the first that
// the tenant's plan has.
func (m *Room) choices(ctx context.Context, chosen string) ([]modelChoice, error) {
	account, err := m.plans.enforcer.Account(ctx)
	if err != nil {
		return nil, err
	}
	all, err := m.plans.all(ctx)
	if err != nil {
		return nil, err
	}
	choices := make([]modelChoice, len(m.work.Models()))
	first := -1
	for i, model := range m.work.Models() {
		c := modelChoice{Name: model.Name(), About: model.About(), Locked: !account.Allows(m.plans.models, model.Name())}
		if c.Locked {
			c.In = with(all, c.Name)
		} else if first < 0 || c.Name == chosen {
			first = i
		}
		choices[i] = c
	}
	if first >= 0 {
		choices[first].Chosen = true
	}
	return choices, nil
}

// redirect sends the browser to a page of the workspace.
func redirect(w http.ResponseWriter, r *http.Request, page string) {
	http.Redirect(w, r, base(r)+page, http.StatusSeeOther)
}

// base returns the part of the path that named the tenant and was stripped: "/t/acme",
// or "" where the host names it.
func base(r *http.Request) string { return tenant.PathPrefix(r.Context()) }
