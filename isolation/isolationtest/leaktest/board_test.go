package leaktest_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/isolationtest/leaktest"
	"github.com/tenancy-go/tenancy/tenant"
)

// wall answers GET /wall with the texts of the request's tenant and of all others.
type wall func(w http.ResponseWriter, r *http.Request, own, others string)

// board keeps texts in memory, without a database. Each is the tenant's of its host.
type board struct {
	mu    sync.Mutex
	texts map[string][]string // by host
	wall  wall                // answers GET /wall
}

func (b *board) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/texts":
		b.texts[r.Host] = append(b.texts[r.Host], r.PostFormValue("text"))
		w.Header().Set("Location", fmt.Sprintf("/texts/%s-%d", strings.TrimSuffix(r.Host, ".example.com"), len(b.texts[r.Host])))
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodGet && r.URL.Path == "/wall":
		var others []string
		for host, texts := range b.texts {
			if host != r.Host {
				others = append(others, texts...)
			}
		}
		b.wall(w, r, strings.Join(b.texts[r.Host], " "), strings.Join(others, " "))
	case r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/texts/"):
		name, number, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/texts/"), "-")
		i := 0
		if _, err := fmt.Sscan(number, &i); err != nil || name+".example.com" != r.Host || i < 1 || i > len(b.texts[r.Host]) {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, b.texts[r.Host][i-1])
	default:
		http.NotFound(w, r)
	}
}

// ownWall shows what it should.
func ownWall(w http.ResponseWriter, _ *http.Request, own, _ string) { fmt.Fprint(w, own) }

// openBoard returns a board, and what the kit must know about it.
func openBoard(wall wall) leaktest.Application {
	var tenants []leaktest.Tenant
	for _, t := range []tenant.Tenant{acme, globex} {
		tenants = append(tenants, leaktest.Tenant{Tenant: t, Address: leaktest.Address{Host: t.Slug + ".example.com"}})
	}
	return leaktest.Application{
		Handler: &board{texts: make(map[string][]string), wall: wall},
		Tenants: tenants, Workers: 1, Rounds: 1,
		Scenarios: []leaktest.Scenario{{Name: "texts", Steps: []leaktest.Step{
			{Path: "/texts", Form: map[string]string{"text": "{{canary}}"}, Extract: extract{"text": leaktest.FromHeader("Location", `[^/]+$`)}},
			{Path: "/texts/{{text}}"},
			{Path: "/wall"},
		}}},
	}
}

func TestRightBoard(t *testing.T) {
	t.Parallel()
	leaktest.TestApplication(t, openBoard(ownWall))
}

// TestFindsEveryForm shows the others' texts on the wall in a form that is not
// plain.
func TestFindsEveryForm(t *testing.T) {
	escaped := func(format string) func(string) []byte {
		return func(s string) []byte {
			var b bytes.Buffer
			for _, c := range s {
				fmt.Fprintf(&b, format, c)
			}
			return b.Bytes()
		}
	}
	wide := func(order binary.ByteOrder) func(string) []byte {
		return func(s string) []byte {
			b := make([]byte, 2*len(s))
			for i, u := range utf16.Encode([]rune(s)) {
				order.PutUint16(b[2*i:], u)
			}
			return b
		}
	}
	tests := map[string]func(string) []byte{
		"plain":                  func(s string) []byte { return []byte(s) },
		"upper case":             func(s string) []byte { return []byte(strings.ToUpper(s)) },
		"cut off":                func(s string) []byte { return []byte(s[:20]) },
		"hex":                    func(s string) []byte { return []byte(strings.ToUpper(hex.EncodeToString([]byte(s)))) },
		"base64":                 func(s string) []byte { return []byte(base64.StdEncoding.EncodeToString([]byte(s))) },
		"base64 after one byte":  func(s string) []byte { return []byte(base64.URLEncoding.EncodeToString([]byte("~" + s))) },
		"base64 after two bytes": func(s string) []byte { return []byte(base64.RawURLEncoding.EncodeToString([]byte("~~" + s))) },
		"base64 in lines":        func(s string) []byte { return lines(base64.StdEncoding.EncodeToString([]byte(s)), 16, "\r\n") },
		"quoted-printable":       func(s string) []byte { return lines(s, 10, "=\r\n") },
		"percent":                escaped("%%%02X"),
		"HTML entities":          escaped("&#x%x;"),
		"JSON escapes":           escaped(`\u%04x`),
		"UTF-16, big":            wide(binary.BigEndian),
		"UTF-16, little":         wide(binary.LittleEndian),
		"gzip":                   gzipped,
		"deflate":                deflated,
		"zip":                    zipped,
		"base64 of gzip": func(s string) []byte {
			return []byte(`{"blob":"` + base64.URLEncoding.EncodeToString(gzipped(s)) + `"}`)
		},
		"base64 of deflate":         func(s string) []byte { return []byte(base64.StdEncoding.EncodeToString(deflated(s))) },
		"a zip with base64 in gzip": func(s string) []byte { return zipped(string(gzipped(base64.StdEncoding.EncodeToString([]byte(s))))) },
	}
	for name, form := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report, err := leaktest.FindLeaks(t.Context(), openBoard(func(w http.ResponseWriter, _ *http.Request, own, others string) {
				_, _ = w.Write(form(strings.Split(others+" ", " ")[0]))
			}))
			require.NoError(t, err)
			f, found := find(report, leaktest.Leak, "GET /wall", "body of the answer")
			require.True(t, found, "%s", report)
			if name == "cut off" {
				assert.Len(t, f.Canary, 20)
				return
			}
			assert.Regexp(t, "^"+word.String()+"$", f.Canary)
			assert.Equal(t, "texts: POST /texts", f.Planted)
		})
	}
}

func lines(s string, width int, end string) []byte {
	var b bytes.Buffer
	for len(s) > width {
		b.WriteString(s[:width] + end)
		s = s[width:]
	}
	b.WriteString(s)
	return b.Bytes()
}

func gzipped(s string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.Bytes()
}

func deflated(s string) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.Bytes()
}

func zipped(s string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, _ := w.Create("all.txt")
	_, _ = f.Write([]byte(s))
	_ = w.Close()
	return b.Bytes()
}

func TestFindsInHeadersAndTrailers(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"X-Others", "Set-Cookie", "Trailer-Of-Others"} {
		report, err := leaktest.FindLeaks(t.Context(), openBoard(func(w http.ResponseWriter, _ *http.Request, own, others string) {
			if strings.HasPrefix(name, "Trailer") {
				w.Header().Set("Trailer", name)
				fmt.Fprint(w, own)
			}
			w.Header().Set(name, "last="+others)
			fmt.Fprint(w, own)
		}))
		require.NoError(t, err)
		_, found := find(report, leaktest.Leak, "GET /wall", "header "+name)
		assert.True(t, found, "%s: %s", name, report)
	}
}

// What a request says itself may be in the answer.
func TestEchoIsNoLeak(t *testing.T) {
	t.Parallel()
	app := openBoard(ownWall)
	board := app.Handler
	app.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/search" {
			fmt.Fprintf(w, "nothing for %q", r.URL.Query().Get("q"))
			return
		}
		board.ServeHTTP(w, r)
	})
	s := &app.Scenarios[0]
	s.Vars = map[string]string{"label": "{{canary}}"}
	s.Steps = append(s.Steps, leaktest.Step{Path: "/search?q={{label}}"})
	leaktest.TestApplication(t, app)
}

// Without a database, the other tenant's own request tells that something is gone.
func TestFindsWritesWithoutRows(t *testing.T) {
	t.Parallel()
	app := openBoard(ownWall)
	board := app.Handler
	var mu sync.Mutex
	gone := make(map[string]bool)
	app.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodDelete {
			board.ServeHTTP(w, r)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if gone[r.URL.Path] {
			http.NotFound(w, r)
		}
		gone[r.URL.Path] = true
	})
	s := &app.Scenarios[0]
	s.Steps = append(s.Steps, leaktest.Step{Method: http.MethodDelete, Path: "/texts/{{text}}"})
	report, err := leaktest.FindLeaks(t.Context(), app)
	require.NoError(t, err)
	f, found := find(report, leaktest.Write, "DELETE /texts/{{text}}", "the other tenant's own request afterwards")
	require.True(t, found, "%s", report)
	assert.Contains(t, f.Detail, "got status 404")
	assert.Contains(t, f.Request.Curl(), "-X DELETE")
}

// A run that reached too little is no clean run.
func TestUnproven(t *testing.T) {
	silence := func(w http.ResponseWriter, _ *http.Request, own, _ string) { w.WriteHeader(http.StatusNoContent) }
	tests := []struct {
		name    string
		change  func(*leaktest.Application)
		problem string
	}{
		{"an application that refuses everything", func(app *leaktest.Application) {
			app.Handler = http.NotFoundHandler()
		}, "got status 404"},
		{"a step with another status", func(app *leaktest.Application) {
			app.Scenarios[0].Steps[2].Status = http.StatusTeapot
		}, "got status 200"},
		{"a value that is not there", func(app *leaktest.Application) {
			app.Scenarios[0].Steps[0].Extract["text"] = leaktest.FromJSON("id")
		}, "taking text"},
		{"no canary that comes back", func(app *leaktest.Application) {
			app.Scenarios[0].Steps[0].Form["text"] = "no marker"
		}, "had a canary of its own"},
		{"no value to swap", func(app *leaktest.Application) {
			app.Scenarios[0].Steps = steps(app.Scenarios[0].Steps[0], app.Scenarios[0].Steps[2])
		}, "no value of another tenant was tried"},
		{"a route that no step is for", func(app *leaktest.Application) {
			app.Routes = []string{"GET /wall", "GET /admin"}
		}, "route GET /admin was never reached"},
		{"a log that stays empty", func(app *leaktest.Application) {
			app.Logs = leaktest.NewLogs()
		}, "nothing was logged"},
		{"a store that stays empty", func(app *leaktest.Application) {
			app.Stores = []leaktest.Store{{Name: "cache", List: func(context.Context, tenant.Tenant) ([]leaktest.Entry, error) { return nil, nil }}}
		}, "store cache never had an entry"},
		{"an encoding that nobody can read", func(app *leaktest.Application) {
			app.Handler = &board{texts: make(map[string][]string), wall: func(w http.ResponseWriter, _ *http.Request, own, _ string) {
				w.Header().Set("Content-Encoding", "br")
				fmt.Fprint(w, own)
			}}
		}, `encoded as "br"`},
		{"an output for somebody unknown", func(app *leaktest.Application) {
			app.Jobs = []leaktest.Job{{Name: "mail", System: true, Run: func(context.Context) ([]leaktest.Output, error) {
				return []leaktest.Output{{Name: "letter"}}, nil
			}}}
		}, `output "letter" is for ""`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			app := openBoard(ownWall)
			tt.change(&app)
			report, err := leaktest.FindLeaks(t.Context(), app)
			require.NoError(t, err)
			assert.Empty(t, report.Findings)
			assert.ErrorIs(t, report.Err(), leaktest.ErrUnproven)
			assert.Contains(t, report.String(), tt.problem)
		})
	}
	t.Run("a wall that says nothing", func(t *testing.T) {
		t.Parallel()
		app := openBoard(silence)
		app.Scenarios[0].Steps[1].Method = http.MethodHead
		report, err := leaktest.FindLeaks(t.Context(), app)
		require.NoError(t, err)
		assert.ErrorIs(t, report.Err(), leaktest.ErrUnproven)
	})
}

func steps(all ...leaktest.Step) []leaktest.Step { return all }

func TestApplicationsThatCannotBeChecked(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for want, change := range map[string]func(*leaktest.Application){
		"no Handler":                 func(app *leaktest.Application) { app.Handler = nil },
		"at least two tenants":       func(app *leaktest.Application) { app.Tenants = app.Tenants[:1] },
		"given twice":                func(app *leaktest.Application) { app.Tenants[1] = app.Tenants[0] },
		"no Scenarios":               func(app *leaktest.Application) { app.Scenarios = nil },
		"Rows without DB":            func(app *leaktest.Application) { app.Rows = []leaktest.Row{{Table: "x"}} },
		"more than one body":         func(app *leaktest.Application) { app.Scenarios[0].Steps[0].JSON = "{}" },
		"begin with /":               func(app *leaktest.Application) { app.Scenarios[0].Steps[1].Path = "texts" },
		"no variable \"nobody\"":     func(app *leaktest.Application) { app.Scenarios[0].Steps[1].Path = "/{{nobody}}" },
		"{{ without }}":              func(app *leaktest.Application) { app.Scenarios[0].Steps[1].Path = "/{{text" },
		"Routes:":                    func(app *leaktest.Application) { app.Routes = []string{"GET /a", "GET /a"} },
		"job \"mail\" has no Run":    func(app *leaktest.Application) { app.Jobs = []leaktest.Job{{Name: "mail"}} },
		"store \"cache\" has no":     func(app *leaktest.Application) { app.Stores = []leaktest.Store{{Name: "cache"}} },
		"Workers and Rounds have to": func(app *leaktest.Application) { app.Workers = -1 },
		"job mail: broken": func(app *leaktest.Application) {
			app.Jobs = []leaktest.Job{{Name: "mail", Run: func(context.Context) ([]leaktest.Output, error) { return nil, broken }}}
		},
		"planting as t-acme-1: broken": func(app *leaktest.Application) {
			app.Plant = func(context.Context, leaktest.Tenant, func() string) (map[string]string, error) { return nil, broken }
		},
	} {
		app := openBoard(ownWall)
		change(&app)
		_, err := leaktest.FindLeaks(t.Context(), app)
		assert.ErrorContains(t, err, want)
	}
}

// TestLogsAreAttributed logs in ways that say more or less about whose the record is.
func TestLogsAreAttributed(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(ctx context.Context, log *slog.Logger, others string){
		"by the request": func(ctx context.Context, log *slog.Logger, others string) {
			log.With("part", "wall").WithGroup("seen").DebugContext(ctx, "others", "text", others)
		},
		"by when it was": func(_ context.Context, log *slog.Logger, others string) { log.Info(others) },
	} {
		logs := leaktest.NewLogs()
		log := slog.New(logs.Handler(nil))
		app := openBoard(ownWall)
		app.Logs = logs
		app.Handler = &board{texts: make(map[string][]string), wall: func(w http.ResponseWriter, r *http.Request, own, others string) {
			write(r.Context(), log, others)
			ownWall(w, r, own, others)
		}}
		app.Rounds = 1
		report, err := leaktest.FindLeaks(t.Context(), app)
		require.NoError(t, err)
		f, found := find(report, leaktest.Leak, "GET /wall", "log")
		assert.True(t, found, "%s: %s", name, report)
		assert.NotEqual(t, f.Owner, f.Reader)
	}
}

// What differs each time does not make two answers differ; what is said of a foreign value
// alone does.
func TestVolatilePartsAreNoOracle(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		body   func(n int, foreign bool) string
		oracle bool
	}{
		{"a number that grows", func(n int, _ bool) string { return fmt.Sprintf("request %06d: nothing here", n) }, false},
		{"a word for what is foreign", func(n int, foreign bool) string {
			if foreign {
				return fmt.Sprintf("request %06d: nothing there", n)
			}
			return fmt.Sprintf("request %06d: nothing here", n)
		}, true},
	} {
		app := openBoard(ownWall)
		board := app.Handler
		var n atomic.Int64
		app.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text, isText := strings.CutPrefix(r.URL.Path, "/texts/")
			name, number, _ := strings.Cut(text, "-")
			if issued := len(number) < 5; !isText || r.Host == name+".example.com" && issued {
				board.ServeHTTP(w, r)
				return
			}
			w.Header().Set("X-Trace", fmt.Sprint("trace-", n.Add(1)))
			http.Error(w, tt.body(int(n.Load()), len(number) < 5), http.StatusNotFound)
		})
		app.Variables = map[string]leaktest.Variable{"text": {Unknown: func(string) string { return "acme-123456" + strconv.FormatInt(n.Load(), 10) }}}
		report, err := leaktest.FindLeaks(t.Context(), app)
		require.NoError(t, err)
		_, found := find(report, leaktest.Oracle, "GET /texts/{{text}}", "answer to text")
		assert.Equal(t, tt.oracle, found, "%s: %s", tt.name, report)
	}
}
