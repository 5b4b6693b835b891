package leaktest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"

	"github.com/tenancy-go/tenancy/tenant"
)

// attribution says on whose behalf something was done: tenant's index, or nobody.
type attribution struct{ reader int }

var nobody = attribution{-1}

// attributionKey is of the contexts that the kit gives to the application.
type attributionKey struct{}

// line is something that was logged.
type line struct {
	by   attribution
	data []byte
}

// Logs captures what an application logs. Records that come with the context of a
// request or with its tenant are attributed by it; the others to whoever is served while
// they are written, except in the storm, where many are.
type Logs struct {
	mu      sync.Mutex
	lines   []line
	current attribution
	indexes map[tenant.ID]int
}

var _ io.Writer = (*Logs)(nil)

// NewLogs returns Logs that have captured nothing.
func NewLogs() *Logs { return &Logs{current: nobody} }

// Write captures text. The Logs take all of it for lines that belong together.
func (l *Logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line{l.current, bytes.Clone(p)})
	return len(p), nil
}

// Handler returns a handler that captures every record, whatever its level, and hands those
// on to next that next wants. next may be nil.
func (l *Logs) Handler(next slog.Handler) slog.Handler {
	if next == nil {
		next = slog.DiscardHandler
	}
	return logHandler{logs: l, next: next}
}

type logHandler struct {
	logs *Logs
	next slog.Handler
	more []func(slog.Handler) slog.Handler // attributes and groups
}

func (h logHandler) Enabled(context.Context, slog.Level) bool { return true }

// Handle captures a record and hands it on.
func (h logHandler) Handle(ctx context.Context, record slog.Record) error {
	var b bytes.Buffer
	var text slog.Handler = slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug - 100})
	for _, with := range h.more {
		text = with(text)
	}
	if err := text.Handle(ctx, record.Clone()); err != nil {
		return err
	}
	h.logs.capture(ctx, b.Bytes())
	if !h.next.Enabled(ctx, record.Level) {
		return nil
	}
	return h.next.Handle(ctx, record)
}

// WithAttrs keeps capturing.
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(func(x slog.Handler) slog.Handler { return x.WithAttrs(attrs) })
}

// WithGroup keeps capturing.
func (h logHandler) WithGroup(name string) slog.Handler {
	return h.with(func(x slog.Handler) slog.Handler { return x.WithGroup(name) })
}

func (h logHandler) with(f func(slog.Handler) slog.Handler) slog.Handler {
	more := append(h.more[:len(h.more):len(h.more)], f)
	return logHandler{logs: h.logs, next: f(h.next), more: more}
}

func (l *Logs) capture(ctx context.Context, data []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	by, ok := ctx.Value(attributionKey{}).(attribution)
	if !ok {
		by = l.current
		if id, err := tenant.IDFromContext(ctx); err == nil {
			if i, known := l.indexes[id]; known {
				by = attribution{i}
			}
		}
	}
	l.lines = append(l.lines, line{by, data})
}

// begin sets on whose behalf what comes next is logged, if its context does not tell.
func (l *Logs) begin(by attribution) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current = by
}

// take returns what was logged since the last time.
func (l *Logs) take() []line {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.lines
	l.lines = nil
	return taken
}

// know lets records be attributed by the tenant of their context.
func (l *Logs) know(tenants []Tenant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.indexes = make(map[tenant.ID]int)
	for i, t := range tenants {
		l.indexes[t.ID] = i
	}
}
