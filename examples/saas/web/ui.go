package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strings"
)

//go:embed templates
var templateFiles embed.FS

// UI holds what all pages need: templates, assets and the log.
type UI struct {
	pages  map[string]*template.Template // by name: "landing"
	assets *assets
	log    *slog.Logger
	about  Platform
}

// Platform is what pages say about the program that runs them.
type Platform struct {
	Name      string // of the product
	Isolation string // how tenants are kept apart, in a few words
}

// NewUI reads the embedded templates and assets.
func NewUI(about Platform, log *slog.Logger) (*UI, error) {
	files, err := newAssets()
	if err != nil {
		return nil, fmt.Errorf("web: read assets: %w", err)
	}
	u := &UI{pages: make(map[string]*template.Template), assets: files, log: log, about: about}
	if err := u.parse(); err != nil {
		return nil, fmt.Errorf("web: read templates: %w", err)
	}
	return u, nil
}

// parse gives each page in templates/ the layouts and parts of templates/shared/.
func (u *UI) parse() error {
	shared, err := template.New("").Funcs(u.funcs()).ParseFS(templateFiles, "templates/shared/*.html")
	if err != nil {
		return err
	}
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return err
	}
	for _, name := range names {
		page, err := shared.Clone()
		if err != nil {
			return err
		}
		if page, err = page.ParseFS(templateFiles, name); err != nil {
			return err
		}
		u.pages[strings.TrimSuffix(path.Base(name), ".html")] = page
	}
	return nil
}

// render answers with a page. It is made whole before anything is sent, so that a
// fault in it is a clean error.
func (u *UI) render(w http.ResponseWriter, r *http.Request, status int, name, layout string, data any) {
	var page bytes.Buffer
	if err := u.pages[name].ExecuteTemplate(&page, layout, data); err != nil {
		u.log.ErrorContext(r.Context(), "render", "page", name, "error", err)
		http.Error(w, "This page could not be shown.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = page.WriteTo(w)
}
