package web

import (
	"net/http"

	"github.com/tenancy-go/tenancy/examples/saas/workspace"
	"github.com/tenancy-go/tenancy/tenant"
)

// Room is the site of a workspace, the same code for every tenant. It is served
// behind tenant.Gate, which puts the tenant into the context.
type Room struct {
	ui   *UI
	work *workspace.Workspace
	save SaveTenant
}

// NewRoom returns the site of all workspaces.
func NewRoom(ui *UI, work *workspace.Workspace, save SaveTenant) *Room {
	return &Room{ui: ui, work: work, save: save}
}

// Handler serves a workspace at the root of its host, or below the prefix that the
// Gate has stripped.
func (m *Room) Handler() http.Handler {
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
	mux.HandleFunc("GET /usage", m.usage)
	mux.HandleFunc("GET /settings", m.settings)
	mux.HandleFunc("POST /settings", m.saveSettings)
	mux.HandleFunc("GET /theme.css", serveTheme)
	mux.HandleFunc("/", m.ui.NotFound)
	return m.ui.logged(mux)
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
	Models   []modelChoice
	Draft    draft
	Body     any // of the page itself
}

// modelChoice is a model to choose, and whether it is chosen.
type modelChoice struct {
	Name, About string
	Chosen      bool
}

// draft is what a user typed into a form that was refused, and why.
type draft struct {
	Title, Text string
	Faults      map[string]string
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
	page.Platform, page.Tenant, page.Base = m.ui.about, t, base(r)
	page.ReadOnly = t.Status == tenant.StatusReadOnly
	m.ui.render(w, r, status, name, "room", page)
}

// choices returns the models with one of them chosen: the named one, or the first.
func (m *Room) choices(chosen string) []modelChoice {
	if _, ok := m.work.Models().Find(chosen); !ok {
		chosen = m.work.Models()[0].Name()
	}
	choices := make([]modelChoice, len(m.work.Models()))
	for i, model := range m.work.Models() {
		choices[i] = modelChoice{Name: model.Name(), About: model.About(), Chosen: model.Name() == chosen}
	}
	return choices
}

// redirect sends the browser to a page of the workspace.
func redirect(w http.ResponseWriter, r *http.Request, page string) {
	http.Redirect(w, r, base(r)+page, http.StatusSeeOther)
}

// base returns the part of the path that named the tenant and was stripped: "/t/acme",
// or "" where the host names it.
func base(r *http.Request) string { return tenant.PathPrefix(r.Context()) }
