package web

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// TenantHandler adds the tenant of the context to every record logged with it.
type TenantHandler struct{ slog.Handler }

// Handle adds the attribute "tenant" and hands the record on.
func (h TenantHandler) Handle(ctx context.Context, record slog.Record) error {
	if id, err := tenant.IDFromContext(ctx); err == nil {
		record.AddAttrs(slog.String("tenant", id.String()))
	}
	return h.Handler.Handle(ctx, record)
}

// WithAttrs keeps the tenant on loggers derived by With.
func (h TenantHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return TenantHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the tenant on loggers derived by WithGroup.
func (h TenantHandler) WithGroup(name string) slog.Handler {
	return TenantHandler{h.Handler.WithGroup(name)}
}

// logged logs each request that next answered. Inside tenant.Gate the record carries
// the tenant.
func (u *UI) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(seen, r)
		u.log.InfoContext(r.Context(), "request",
			"method", r.Method, "host", r.Host, "path", r.URL.Path, "status", seen.status, "took", time.Since(start).Round(time.Microsecond))
	})
}

// statusWriter remembers the status that was sent.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader remembers status and sends it.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the writer below.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
