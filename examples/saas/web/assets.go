package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
)

//go:embed static
var staticFiles embed.FS

// assets serves the embedded files. Their address carries a hash of their content,
// so that browsers keep them for good and never show an old one.
type assets struct {
	files   fs.FS
	version map[string]string // by name: "app.css"
}

func newAssets() (*assets, error) {
	files, err := fs.Sub(staticFiles, "static")
	if err != nil {
		return nil, err
	}
	a := &assets{files: files, version: make(map[string]string)}
	names, err := fs.Glob(files, "*")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(content)
		a.version[name] = hex.EncodeToString(sum[:6])
	}
	return a, nil
}

// url returns the address of a file, the same on every host.
func (a *assets) url(name string) string { return "/static/" + name + "?v=" + a.version[name] }

// ServeHTTP serves /static/name.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	if _, ok := a.version[name]; !ok || r.URL.Path != "/static/"+name {
		http.NotFound(w, r)
		return
	}
	if r.URL.Query().Get("v") == a.version[name] {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.ServeFileFS(w, r, a.files, name)
}
