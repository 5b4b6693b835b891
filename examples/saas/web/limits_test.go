package web

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

const testPlans = `{"version": 1, "plans": {
	"free": {"title": "Free", "limits": {
		"requests": {"windows": {"minute": 2, "day": {"limit": 20, "roll": "calendar"}}, "warn": 0.5},
		"words": {"windows": {"day": {"limit": 1000, "roll": "calendar"}}},
		"streams": {"kind": "concurrent", "max": 1},
		"documents": {"kind": "stock", "max": 1, "payment": true},
		"storage": {"kind": "stock", "max": "2MiB"}},
		"resources": {"models": {"allow": ["echo"], "limits": {"echo": {"windows": {"day": {"limit": 1, "roll": "calendar"}}}}}}},
	"pro": {"title": "Pro", "rank": 1, "resources": {"models": {"allow": ["*"]}}}}}`

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// newTestAccount returns an account of the plan free, at noon.
func newTestAccount(t *testing.T) (*Room, *quota.Account, context.Context) {
	t.Helper()
	catalog, err := quota.ParseCatalog([]byte(testPlans))
	require.NoError(t, err)
	source := quota.NewMemorySource(catalog)
	enforcer, err := quota.New(source, quota.WithClock(func() time.Time { return noon }))
	require.NoError(t, err)
	ctx := tenant.NewContext(t.Context(), tenant.Tenant{ID: "acme", Plan: "free"})
	account, err := enforcer.Account(ctx)
	require.NoError(t, err)
	return NewRoom(newTestUI(t), nil, nil, source, enforcer), account, ctx
}

func TestExplain(t *testing.T) {
	t.Parallel()
	room, account, ctx := newTestAccount(t)
	tests := []struct {
		limit, key string
		n, before  int64
		status     int
		text       string
	}{
		{limit: "requests", n: 1, before: 2, status: http.StatusTooManyRequests, text: "The Free plan has 2 requests a minute, and they are used up. Try again in 90 seconds."},
		{limit: "words", n: 500, before: 600, status: http.StatusTooManyRequests, text: "The Free plan has 1,000 words a day, and too few are left for this. Try again tomorrow."},
		{limit: "words", n: 1001, status: http.StatusForbidden, text: "This takes more than all that the Free plan has: 1,000 words a day."},
		{limit: "streams", n: 1, before: 1, status: http.StatusTooManyRequests, text: "The Free plan writes 1 answer at a time. Wait until one is done, and send this again."},
		{limit: "documents", n: 1, before: 1, status: http.StatusPaymentRequired, text: "The Free plan keeps 1 document, and there is no room for this. Delete a document to make some."},
		{limit: "storage", n: 3 << 20, status: http.StatusForbidden, text: "This takes more than all that the Free plan has: 2 MB."},
		{limit: "models", key: "outline", n: 1, status: http.StatusForbidden, text: "The Free plan does not have the model outline. It comes with Pro."},
		{limit: "models", key: "echo", n: 1, before: 1, status: http.StatusTooManyRequests, text: "The Free plan has 1 answer of echo a day, and they are used up. Try again tomorrow."},
		{limit: "seats", n: 1, status: http.StatusForbidden, text: "The Free plan does not have this."},
	}
	for _, tt := range tests {
		claim := quota.Claim{Limit: room.plans.enforcer.Ref(tt.limit), Key: tt.key, N: tt.before}
		if tt.before > 0 {
			_, d := account.Claim(ctx, claim)
			require.NoError(t, d.Err())
		}
		claim.N = tt.n
		_, d := account.Claim(ctx, claim)
		got := room.explain(ctx, d.Err(), tt.key)
		assert.Equal(t, refusal{tt.status, tt.text, true}, got)
	}
	assert.Equal(t, http.StatusServiceUnavailable, room.explain(ctx, errors.New("store is away"), "").Status)
}

func TestRefuseByPlan(t *testing.T) {
	t.Parallel()
	room, account, ctx := newTestAccount(t)
	err := account.Take(ctx, room.plans.enforcer.Ref("requests"), 3).Err()
	for range 2 {
		_ = account.Take(ctx, room.plans.enforcer.Ref("requests"), 1)
	}
	spent := account.Take(ctx, room.plans.enforcer.Ref("requests"), 1).Err()
	tests := []struct {
		err          error
		accept, kind string
		status       int
		retry        string
	}{
		{spent, "text/html", "text/html", http.StatusTooManyRequests, "90"},
		{spent, "text/event-stream", "text/plain", http.StatusTooManyRequests, "90"},
		{spent, "*/*", "application/problem+json", http.StatusTooManyRequests, "90"},
		{err, "text/html", "text/html", http.StatusForbidden, ""},
		{quota.ErrUnavailable, "text/html", "text/html", http.StatusServiceUnavailable, "5"},
	}
	for _, tt := range tests {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
		r.Header.Set("Accept", tt.accept)
		room.Refuse(w, r, tt.err)
		assert.Equal(t, tt.status, w.Code, tt.accept)
		assert.Contains(t, w.Header().Get("Content-Type"), tt.kind)
		assert.Equal(t, tt.retry, w.Header().Get("Retry-After"), tt.accept)
	}
}

func TestMeters(t *testing.T) {
	t.Parallel()
	room, account, ctx := newTestAccount(t)
	for range 2 {
		require.NoError(t, account.Take(ctx, room.plans.enforcer.Ref("requests"), 1).Err())
	}
	_, d := account.Claim(ctx, quota.Claim{Limit: room.plans.enforcer.Ref("storage"), N: 1 << 20})
	require.NoError(t, d.Err())
	limits, err := account.Usage(ctx)
	require.NoError(t, err)
	groups := metersOf(limits, noon)
	names := make(map[string]meter)
	for _, g := range groups {
		for _, m := range g.Meters {
			names[g.ID+": "+m.Name] = m
		}
	}
	assert.Equal(t, meter{Name: "Last minute", Used: 2, Max: 2, Of: "2 of 2", Note: "None left, more in 60 seconds", Warned: true, Full: "Used up"}, names["requests: Last minute"])
	assert.Equal(t, meter{Name: "Today", Used: 2, Max: 20, Of: "2 of 20", Note: "18 left, starts anew tomorrow", Full: "Used up"}, names["requests: Today"])
	assert.Equal(t, meter{Name: "Storage", Used: 1 << 20, Max: 2 << 20, Of: "1 MB of 2 MB", Note: "1 MB left, more when a document is deleted", Full: "Full"}, names["documents: Storage"])
	assert.Equal(t, "0 of 1", names["models: echo today"].Of)
	assert.Equal(t, "1 free", names["streams: Now"].Note)
	assert.Equal(t, "full", names["requests: Last minute"].State())
	assert.InDelta(t, 10, names["requests: Today"].Width(), 0.01)
	assert.Zero(t, names["streams: Now"].Width())
}

func TestWords(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 bytes", 1023: "1023 bytes", 1024: "1 KB", 1536: "1.5 KB", 1<<20 - 1: "1 MB", 1 << 20: "1 MB", 50 << 20: "50 MB", 1 << 30: "1 GB", 1 << 45: "32 TB"} {
		assert.Equal(t, want, size(n))
	}
	rolling, calendar := quota.Window{Per: quota.Day}, quota.Window{Per: quota.Day, Roll: quota.Calendar}
	for d, want := range map[time.Duration]string{
		0: "in 1 second", 40 * time.Second: "in 40 seconds", 12 * time.Minute: "in 12 minutes", 5 * time.Hour: "in 5 hours", 48 * time.Hour: "in 2 days",
	} {
		assert.Equal(t, want, until(d, rolling))
	}
	assert.Equal(t, "tomorrow", until(5*time.Hour, calendar))
	assert.Equal(t, "in 30 minutes", until(30*time.Minute, calendar))
}

func TestPieces(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"one ", "two\n\nthree"}, pieces("one two\n\nthree", 200))
	long := strings.Repeat("word ", 1001)
	cut := pieces(long, 200)
	assert.LessOrEqual(t, len(cut), 200)
	assert.Equal(t, long, strings.Join(cut, ""))
}

// TestSendEndsWithItsContext checks that who leaves ends the stream at once.
func TestSendEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, leave := context.WithTimeout(t.Context(), pace+pace/2)
		defer leave()
		w := httptest.NewRecorder()
		send(ctx, w, []string{"one ", "two ", "three"})
		assert.Equal(t, "data: \"one \"\n\ndata: \"two \"\n\n", w.Body.String())

		whole := httptest.NewRecorder()
		send(t.Context(), whole, []string{"<b>"})
		assert.Equal(t, "data: \"\\u003cb\\u003e\"\n\nevent: done\ndata:\n\n", whole.Body.String())
	})
}
