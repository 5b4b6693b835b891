package leaktest_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"compress/gzip"

	"github.com/tenancy-go/tenancy/tenant"
)

// flaw is a mistake that the desk can be given. Each is one that programs have made.
type flaw string

const (
	cacheWithoutTenant  flaw = "a cache is keyed without the tenant"
	cacheEntryOfOthers  flaw = "a tenant's cache holds others' entries"
	lookupAsSystem      flaw = "an ID is looked up in a system context"
	listOfAll           flaw = "a list is of all tenants"
	searchOfAll         flaw = "a search is over all tenants"
	cursorWithTenant    flaw = "a cursor says whose rows come next"
	cursorOfAll         flaw = "a cursor is computed over all tenants' rows"
	etagWithoutTenant   flaw = "an ETag is known whoever got it"
	sessionAnywhere     flaw = "a session is good at every tenant's host"
	keyAnywhere         flaw = "an API key is good at every tenant's host"
	tenantFromHeader    flaw = "a header names the tenant"
	tenantFromParameter flaw = "a query parameter names the tenant"
	tenantFromForward   flaw = "X-Forwarded-Host names the tenant"
	fileWithoutTenant   flaw = "files lie in one directory"
	filesListed         flaw = "a listing of files shows all tenants'"
	errorWithTitle      flaw = "an error says what was not found"
	logWithTitle        flaw = "the log says what was not found"
	logByWriter         flaw = "a line of text is written about what was not found"
	jobOfFirst          flaw = "a job runs with the context of the first tenant"
	webhookOfAll        flaw = "a webhook carries all tenants' rows"
	exportOfAll         flaw = "an export, compressed, is of all tenants"
	forbiddenForForeign flaw = "a foreign ID is forbidden, an unknown one is not found"
	conflictWithForeign flaw = "a name that another tenant has is taken"
	updateAsSystem      flaw = "an update runs in a system context"
	deleteAsSystem      flaw = "a delete runs in a system context"
	redirectToTitle     flaw = "a redirect goes to the title of a foreign row"
	globalTenant        flaw = "requests share a variable"
	tenantField         flaw = "a field of the form names the tenant"
	queueWithoutTenant  flaw = "the queue trusts the ID that was put in"
)

// desk is a program with notes and files, without and with flaws.
type desk struct {
	db    *sql.DB
	log   *slog.Logger
	text  io.Writer // of an old-fashioned log
	dir   string
	flaws map[flaw]bool
	mux   *http.ServeMux

	hosts map[string]tenant.Tenant
	byID  map[tenant.ID]tenant.Tenant
	first tenant.Tenant
	keys  map[string]tenant.ID
	users map[string]tenant.ID

	current atomic.Value // of globalTenant

	mu       sync.Mutex
	sessions map[string]tenant.ID
	cache    map[string][]byte
	etags    map[string]bool
}

func newDesk(db *sql.DB, dir string, log *slog.Logger, text io.Writer, tenants []tenant.Tenant, flaws ...flaw) *desk {
	d := &desk{
		db: db, log: log, text: text, dir: dir, flaws: make(map[flaw]bool), first: tenants[0], hosts: make(map[string]tenant.Tenant),
		byID: make(map[tenant.ID]tenant.Tenant), keys: make(map[string]tenant.ID), users: make(map[string]tenant.ID),
		sessions: make(map[string]tenant.ID), cache: make(map[string][]byte), etags: make(map[string]bool),
	}
	for _, f := range flaws {
		d.flaws[f] = true
	}
	for _, t := range tenants {
		d.hosts[t.Slug+".example.com"], d.byID[t.ID] = t, t
		d.keys["key-"+t.Slug], d.users["pat@"+t.Slug] = t.ID, t.ID
	}
	d.mux = http.NewServeMux()
	for pattern, handler := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST /notes":               d.addNote,
		"GET /notes":                d.listNotes,
		"GET /notes/{id}":           d.note,
		"PUT /notes/{id}":           d.changeNote,
		"DELETE /notes/{id}":        d.deleteNote,
		"GET /notes/{id}/permalink": d.permalink,
		"POST /publish":             d.publish,
		"GET /search":               d.search,
		"GET /feed":                 d.feed,
		"GET /newest":               d.newest,
		"GET /me":                   d.me,
		"GET /export":               d.export,
		"POST /files":               d.upload,
		"GET /files/{name}":         d.file,
	} {
		d.mux.HandleFunc(pattern, d.answer(handler))
	}
	return d
}

func (d *desk) has(f flaw) bool { return d.flaws[f] }

// errors that become statuses
var (
	errNotFound  = errors.New("not found")
	errForbidden = errors.New("forbidden")
	errTaken     = errors.New("this slug is taken")
)

func (d *desk) answer(handler func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := handler(w, r)
		switch {
		case err == nil:
		case errors.Is(err, errNotFound):
			http.Error(w, err.Error(), http.StatusNotFound)
		case errors.Is(err, errForbidden):
			http.Error(w, err.Error(), http.StatusForbidden)
		case errors.Is(err, errTaken):
			http.Error(w, err.Error(), http.StatusConflict)
		default:
			d.log.ErrorContext(r.Context(), "failed", "error", err)
			http.Error(w, "internal error", http.StatusInternalServerError)
		}
	}
}

// ServeHTTP finds the tenant, then whether the user is one of its users.
func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if forwarded := r.Header.Get("X-Forwarded-Host"); forwarded != "" && d.has(tenantFromForward) {
		host = forwarded
	}
	t, ok := d.hosts[host]
	if !ok {
		http.Error(w, "no tenant here", http.StatusNotFound)
		return
	}
	if r.Method == http.MethodPost && r.URL.Path == "/login" {
		d.login(w, r, t)
		return
	}
	if !d.admitted(r, d.hosts[r.Host]) {
		http.Error(w, "log in first", http.StatusUnauthorized)
		return
	}
	if named, known := d.byID[tenant.ID(r.Header.Get("X-Tenant-Id"))]; known && d.has(tenantFromHeader) {
		t = named
	}
	if named, known := d.byID[tenant.ID(r.URL.Query().Get("org_id"))]; known && d.has(tenantFromParameter) {
		t = named
	}
	d.current.Store(t)
	d.log.InfoContext(r.Context(), "request", "method", r.Method, "path", r.URL.Path)
	d.mux.ServeHTTP(w, r.WithContext(tenant.NewContext(r.Context(), t)))
}

func (d *desk) login(w http.ResponseWriter, r *http.Request, t tenant.Tenant) {
	if d.users[r.FormValue("user")] != t.ID || r.FormValue("password") != "secret" {
		http.Error(w, "wrong user or password", http.StatusUnauthorized)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	token := rand.Text()
	d.sessions[token] = t.ID
	http.SetCookie(w, &http.Cookie{Name: "session", Value: token, HttpOnly: true})
	w.WriteHeader(http.StatusNoContent)
}

func (d *desk) admitted(r *http.Request, t tenant.Tenant) bool {
	if owner, ok := d.keys[r.Header.Get("X-Api-Key")]; ok {
		return owner == t.ID || d.has(keyAnywhere)
	}
	c, err := r.Cookie("session")
	if err != nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	owner, ok := d.sessions[c.Value]
	return ok && (owner == t.ID || d.has(sessionAnywhere))
}

// as returns the request's context, or a system context if the desk has the flaw.
func (d *desk) as(ctx context.Context, f flaw) context.Context {
	if d.has(f) {
		return tenant.System(ctx, "a mistake")
	}
	return ctx
}

type note struct {
	ID    string `json:"id"`
	Slug  string `json:"slug"`
	Title string `json:"title"`
	Body  string `json:"body"`
}

const selectNotes = "SELECT id, slug, title, body FROM notes "

func (d *desk) notes(ctx context.Context, where string, args ...any) ([]note, error) {
	rows, err := d.db.QueryContext(ctx, selectNotes+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := []note{}
	for rows.Next() {
		var n note
		if err := rows.Scan(&n.ID, &n.Slug, &n.Title, &n.Body); err != nil {
			return nil, err
		}
		found = append(found, n)
	}
	return found, rows.Err()
}

func (d *desk) one(ctx context.Context, id string) (note, error) {
	found, err := d.notes(ctx, "WHERE id = $1", id)
	if err == nil && len(found) == 0 {
		return note{}, d.missing(ctx, id)
	}
	if err != nil {
		return note{}, err
	}
	return found[0], nil
}

// missing is what is said of an ID that the tenant has not.
func (d *desk) missing(ctx context.Context, id string) error {
	foreign, err := d.notes(tenant.System(ctx, "a mistake"), "WHERE id = $1", id)
	if err != nil {
		return err
	}
	for _, n := range foreign {
		if d.has(logWithTitle) {
			d.log.WarnContext(ctx, "not allowed", "title", n.Title)
		}
		if d.has(logByWriter) {
			fmt.Fprintf(d.text, "not allowed: %s\n", n.Title)
		}
		if d.has(errorWithTitle) {
			return fmt.Errorf("%w: %q is somebody else's", errNotFound, n.Title)
		}
		if d.has(forbiddenForForeign) {
			return errForbidden
		}
	}
	return errNotFound
}

func reply(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(v)
}

func (d *desk) addNote(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	if named, known := d.byID[tenant.ID(r.PostFormValue("tenant_id"))]; known && d.has(tenantField) {
		ctx = tenant.NewContext(ctx, named)
	}
	n := note{ID: strings.ToLower(rand.Text()[:12]), Slug: r.PostFormValue("slug"), Title: r.PostFormValue("title"), Body: r.PostFormValue("body")}
	var taken int
	if err := d.db.QueryRowContext(d.as(ctx, conflictWithForeign), "SELECT count(*) FROM notes WHERE slug = $1", n.Slug).Scan(&taken); err != nil {
		return err
	}
	if taken > 0 {
		return errTaken
	}
	if _, err := d.db.ExecContext(ctx, "INSERT INTO notes (id, slug, title, body) VALUES ($1, $2, $3, $4)", n.ID, n.Slug, n.Title, n.Body); err != nil {
		return err
	}
	return reply(w, http.StatusCreated, n)
}

// cursor is where a list goes on.
type cursor struct {
	After  string
	Tenant tenant.ID
	Title  string `json:",omitempty"`
}

func (d *desk) listNotes(w http.ResponseWriter, r *http.Request) error {
	ctx := d.as(r.Context(), listOfAll)
	id, err := tenant.IDFromContext(r.Context())
	if err != nil {
		return err
	}
	from := cursor{Tenant: id}
	if text := r.URL.Query().Get("cursor"); text != "" {
		data, _ := base64.RawURLEncoding.DecodeString(text)
		if json.Unmarshal(data, &from) != nil {
			return errNotFound
		}
	}
	if from.Tenant != id {
		if !d.has(cursorWithTenant) {
			from.After = "" // as for a cursor that nobody has
		}
		if t, known := d.byID[from.Tenant]; known && d.has(cursorWithTenant) {
			ctx = tenant.NewContext(ctx, t)
		}
	}
	found, err := d.notes(ctx, "WHERE id > $1 ORDER BY id LIMIT 200", from.After)
	if err != nil {
		return err
	}
	next := cursor{Tenant: id}
	if len(found) > 0 {
		next.After = found[0].ID
	}
	if d.has(cursorOfAll) {
		others, err := d.notes(tenant.System(ctx, "a mistake"), "WHERE id > $1 ORDER BY created DESC LIMIT 4", from.After)
		if err != nil {
			return err
		}
		for _, n := range others {
			next.Title += n.Title
		}
	}
	data, err := json.Marshal(next)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, map[string]any{"notes": found, "next": base64.RawURLEncoding.EncodeToString(data)})
}

func (d *desk) note(w http.ResponseWriter, r *http.Request) error {
	n, err := d.one(d.as(r.Context(), lookupAsSystem), r.PathValue("id"))
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, n)
}

func (d *desk) changeNote(w http.ResponseWriter, r *http.Request) error {
	var change struct{ Body string }
	if err := json.NewDecoder(r.Body).Decode(&change); err != nil {
		return fmt.Errorf("%w: %w", errNotFound, err)
	}
	return d.affectOne(w, d.as(r.Context(), updateAsSystem), r.PathValue("id"), "UPDATE notes SET body = $2 WHERE id = $1", change.Body)
}

func (d *desk) deleteNote(w http.ResponseWriter, r *http.Request) error {
	return d.affectOne(w, d.as(r.Context(), deleteAsSystem), r.PathValue("id"), "DELETE FROM notes WHERE id = $1")
}

func (d *desk) affectOne(w http.ResponseWriter, ctx context.Context, id, query string, args ...any) error {
	result, err := d.db.ExecContext(ctx, query, append([]any{id}, args...)...)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(errNotFound, err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (d *desk) permalink(w http.ResponseWriter, r *http.Request) error {
	n, err := d.one(d.as(r.Context(), redirectToTitle), r.PathValue("id"))
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/by-title/"+n.Title, http.StatusSeeOther)
	return nil
}

func (d *desk) publish(w http.ResponseWriter, r *http.Request) error {
	var order struct{ Note string }
	if err := json.NewDecoder(r.Body).Decode(&order); err != nil {
		return errNotFound
	}
	if !d.has(queueWithoutTenant) {
		if _, err := d.one(r.Context(), order.Note); err != nil {
			return err
		}
	}
	if _, err := d.db.ExecContext(r.Context(), "INSERT INTO queue (id, note) VALUES ($1, $2)", rand.Text(), order.Note); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func (d *desk) search(w http.ResponseWriter, r *http.Request) error {
	found, err := d.notes(d.as(r.Context(), searchOfAll), "WHERE title LIKE $1 ORDER BY created DESC LIMIT 200", "%"+r.URL.Query().Get("q")+"%")
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, found)
}

func (d *desk) feed(w http.ResponseWriter, r *http.Request) error {
	found, err := d.notes(r.Context(), "ORDER BY created DESC LIMIT 20")
	if err != nil {
		return err
	}
	var body bytes.Buffer
	for _, n := range found {
		fmt.Fprintf(&body, "<item>%s</item>\n", n.Title)
	}
	sum := sha256.Sum256(body.Bytes())
	etag := `"` + hex.EncodeToString(sum[:8]) + `"`
	d.mu.Lock()
	known := r.Header.Get("If-None-Match") == etag || d.has(etagWithoutTenant) && d.etags[r.Header.Get("If-None-Match")]
	d.etags[etag] = true
	d.mu.Unlock()
	if known {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	w.Header().Set("ETag", etag)
	_, err = w.Write(body.Bytes())
	return err
}

// newest is served from a cache.
func (d *desk) newest(w http.ResponseWriter, r *http.Request) error {
	id, err := tenant.IDFromContext(r.Context())
	if err != nil {
		return err
	}
	key := id.String() + " " + r.URL.Path
	if d.has(cacheWithoutTenant) {
		key = r.URL.Path
	}
	d.mu.Lock()
	cached, ok := d.cache[key]
	d.mu.Unlock()
	if !ok {
		found, err := d.notes(r.Context(), "ORDER BY created DESC LIMIT 1")
		if err != nil {
			return err
		}
		if cached, err = json.Marshal(found); err != nil {
			return err
		}
		d.mu.Lock()
		d.cache[key] = cached
		d.mu.Unlock()
	}
	_, err = w.Write(cached)
	return err
}

// me shows the newest note of whoever asks.
func (d *desk) me(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	if err := d.db.PingContext(ctx); err != nil { // as any work before
		return err
	}
	var checked int
	if err := d.db.QueryRowContext(ctx, "SELECT count(*) FROM notes").Scan(&checked); err != nil {
		return err
	}
	if t, ok := d.current.Load().(tenant.Tenant); ok && d.has(globalTenant) {
		ctx = tenant.NewContext(ctx, t)
	}
	found, err := d.notes(ctx, "ORDER BY created DESC LIMIT 1")
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, found)
}

func (d *desk) export(w http.ResponseWriter, r *http.Request) error {
	found, err := d.notes(d.as(r.Context(), exportOfAll), "ORDER BY created DESC LIMIT 200")
	if err != nil {
		return err
	}
	w.Header().Set("Content-Encoding", "gzip")
	packed := gzip.NewWriter(w)
	return errors.Join(json.NewEncoder(packed).Encode(found), packed.Close())
}

func (d *desk) tree(id tenant.ID) string {
	if d.has(fileWithoutTenant) {
		return filepath.Join(d.dir, "all")
	}
	return filepath.Join(d.dir, id.String())
}

func (d *desk) upload(w http.ResponseWriter, r *http.Request) error {
	id, err := tenant.IDFromContext(r.Context())
	if err != nil {
		return err
	}
	file, _, err := r.FormFile("file")
	if err != nil {
		return err
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	name := strings.ToLower(rand.Text()) + ".txt"
	if err := os.MkdirAll(d.tree(id), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(d.tree(id), name), data, 0o600); err != nil {
		return err
	}
	w.Header().Set("Location", "/files/"+name)
	w.WriteHeader(http.StatusCreated)
	return nil
}

func (d *desk) file(w http.ResponseWriter, r *http.Request) error {
	id, err := tenant.IDFromContext(r.Context())
	if err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(d.tree(id), filepath.Base(r.PathValue("name"))))
	if err != nil {
		return errNotFound
	}
	_, err = w.Write(data)
	return err
}
