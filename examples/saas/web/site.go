package web

import (
	"errors"
	"net/http"

	"github.com/tenancy-go/tenancy/examples/saas/signup"
	"github.com/tenancy-go/tenancy/tenant"
)

// Site is the platform's own site: its front page and the sign-up form.
type Site struct {
	ui     *UI
	signup *signup.Service
	hosts  Hosts
	demos  []Demo
}

// Demo is a workspace that the front page invites to look at.
type Demo struct {
	Name, Slug, About string
	Accent            string // #rrggbb
}

// OnAccent returns what is written on the accent: black or white.
func (d Demo) OnAccent() string { return onColor(parseColor(d.Accent)).String() }

// NewSite returns the platform's site.
func NewSite(ui *UI, service *signup.Service, hosts Hosts, demos []Demo) *Site {
	return &Site{ui: ui, signup: service, hosts: hosts, demos: demos}
}

// Handler serves the site on the platform's own hosts, and answers 404 on others.
func (s *Site) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.landing)
	mux.HandleFunc("GET /signup", s.form)
	mux.HandleFunc("POST /signup", s.submit)
	mux.HandleFunc("/", s.ui.NotFound)
	return s.ui.logged(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.hosts.isSite(r) {
			s.ui.Refuse(w, r, tenant.ErrNotFound)
			return
		}
		mux.ServeHTTP(w, r)
	}))
}

// sitePage is what the site's pages show.
type sitePage struct {
	Platform Platform
	Title    string
	Address  address
	Demos    []Demo
	Form     signup.Form
	Faults   map[string]string
	Problem  string // what went wrong with the form as a whole
	Swatches []Swatch
}

// address makes links to workspaces: by subdomain where the browser came by the
// platform's domain, by path where it came by an IP address.
type address struct {
	host   string // of the request, with its port
	byPath bool
}

// URL returns a workspace's front page.
func (a address) URL(slug string) string {
	if a.byPath {
		return "/t/" + slug + "/"
	}
	return "//" + slug + "." + a.host + "/"
}

// Before and After surround the slug in an address, as people read it.
func (a address) Before() string {
	if a.byPath {
		return a.host + "/t/"
	}
	return ""
}

// After is what follows the slug.
func (a address) After() string {
	if a.byPath {
		return ""
	}
	return "." + a.host
}

func (s *Site) addressOf(r *http.Request) address {
	return address{host: r.Host, byPath: !s.hosts.isDomain(r)}
}

func (s *Site) page(r *http.Request, title string) sitePage {
	return sitePage{
		Platform: s.ui.about, Title: title, Address: s.addressOf(r), Demos: s.demos, Swatches: Swatches(),
		Form: signup.Form{Accent: defaultAccent},
	}
}

func (s *Site) landing(w http.ResponseWriter, r *http.Request) {
	s.ui.render(w, r, http.StatusOK, "landing", "site", s.page(r, "A workspace for your team and its models"))
}

func (s *Site) form(w http.ResponseWriter, r *http.Request) {
	s.showForm(w, r, http.StatusOK, s.page(r, "Create your workspace"))
}

func (s *Site) showForm(w http.ResponseWriter, r *http.Request, status int, page sitePage) {
	s.letForward(w, page.Address)
	s.ui.render(w, r, status, "signup", "site", page)
}

// letForward widens the policy by the workspaces, since a browser holds a form to it
// even when the answer redirects.
func (s *Site) letForward(w http.ResponseWriter, to address) {
	if !to.byPath {
		w.Header().Set("Content-Security-Policy", policy+" *."+to.host)
	}
}

func (s *Site) submit(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		s.ui.failure(w, r, err)
		return
	}
	page := s.page(r, "Create your workspace")
	page.Form = signup.Form{
		Name: r.PostForm.Get("name"), Slug: r.PostForm.Get("slug"),
		Email: r.PostForm.Get("email"), Accent: r.PostForm.Get("accent"),
	}.Normalize()

	t, err := s.signup.SignUp(r.Context(), page.Form)
	var invalid *signup.FormError
	switch {
	case err == nil:
		http.Redirect(w, r, page.Address.URL(t.Slug), http.StatusSeeOther)
	case errors.As(err, &invalid):
		page.Faults = invalid.Fields
		s.showForm(w, r, http.StatusUnprocessableEntity, page)
	case errors.Is(err, signup.ErrUnfinished):
		s.ui.log.ErrorContext(r.Context(), "sign-up unfinished", "slug", page.Form.Slug, "error", err)
		page.Problem = "The address is yours, but we could not finish your workspace. Send the form again to go on."
		s.showForm(w, r, http.StatusServiceUnavailable, page)
	default:
		s.ui.failure(w, r, err)
	}
}
