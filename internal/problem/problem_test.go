package problem_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/problem"
)

func write(t *testing.T, method string, p problem.Problem) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("ETag", `"x"`)
	problem.Write(w, httptest.NewRequestWithContext(t.Context(), method, "/", nil), p)
	return w
}

func TestWrite(t *testing.T) {
	t.Parallel()
	w := write(t, http.MethodGet, problem.Problem{
		Type:       problem.Type("limit-exceeded"),
		Title:      "Limit exceeded",
		Status:     http.StatusTooManyRequests,
		Detail:     "requests per minute",
		Members:    map[string]any{"limit": 60, "title": "not this one", "status": 200},
		RetryAfter: 1500 * time.Millisecond,
	})

	assert.Equal(t, http.StatusTooManyRequests, w.Code)
	assert.Equal(t, http.Header{
		"Content-Type":           {"application/problem+json"},
		"Content-Length":         {fmt.Sprint(w.Body.Len())},
		"Cache-Control":          {"no-store"},
		"X-Content-Type-Options": {"nosniff"},
		"Retry-After":            {"2"},
	}, w.Header())
	assert.JSONEq(t, `{
		"type": "tag:tenancy-go.github.io,2026:problem:limit-exceeded",
		"title": "Limit exceeded",
		"status": 429,
		"detail": "requests per minute",
		"limit": 60
	}`, w.Body.String())
}

func TestWriteLeavesOutWhatIsEmpty(t *testing.T) {
	t.Parallel()
	w := write(t, http.MethodGet, problem.Problem{Title: "Gone", Status: http.StatusGone, Members: map[string]any{"detail": "x"}})
	assert.JSONEq(t, `{"title": "Gone", "status": 410}`, w.Body.String())
	assert.Empty(t, w.Header().Get("Retry-After"))
}

func TestWriteNeverAnswersWithSuccess(t *testing.T) {
	t.Parallel()
	for _, status := range []int{0, 200, 204, 302, 600} {
		w := write(t, http.MethodGet, problem.Problem{Status: status})
		assert.Equal(t, http.StatusInternalServerError, w.Code, "status %d", status)
		assert.JSONEq(t, `{"status": 500}`, w.Body.String())
	}
}

func TestWriteDropsMembersThatCannotBeEncoded(t *testing.T) {
	t.Parallel()
	w := write(t, http.MethodGet, problem.Problem{Status: 400, Members: map[string]any{"limit": math.NaN()}})
	assert.JSONEq(t, `{"status": 400}`, w.Body.String())
}

func TestWriteToHead(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		problem.Write(w, r, problem.Problem{Title: "Not found", Status: http.StatusNotFound})
	}))
	defer server.Close()

	lengths := make(map[string]int64)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL, nil)
		require.NoError(t, err)
		resp, err := server.Client().Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, method == http.MethodHead, len(body) == 0, method)
		assert.Equal(t, http.StatusNotFound, resp.StatusCode)
		lengths[method] = resp.ContentLength
	}
	assert.Equal(t, lengths[http.MethodGet], lengths[http.MethodHead])
}

func BenchmarkWrite(b *testing.B) {
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
	p := problem.Problem{Type: problem.Type("not-found"), Title: "Not found", Status: http.StatusNotFound}
	b.ReportAllocs()
	for b.Loop() {
		problem.Write(httptest.NewRecorder(), r, p)
	}
}

func ExampleWrite() {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
	problem.Write(w, r, problem.Problem{
		Type:   problem.Type("not-found"),
		Title:  "Not found",
		Status: http.StatusNotFound,
	})
	var body map[string]any
	_ = json.NewDecoder(w.Body).Decode(&body)
	fmt.Println(w.Code, body["title"], body["type"])
	// Output: 404 Not found tag:tenancy-go.github.io,2026:problem:not-found
}
