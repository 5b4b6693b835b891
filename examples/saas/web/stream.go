package web

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tenancy-go/tenancy/quota"
)

// A reply is shown at the pace of a reader, in at most maxPieces pieces: within 6
// seconds, however long it is.
const (
	pace      = 30 * time.Millisecond
	maxPieces = 200
)

// streamReply answers a prompt with server-sent events. The reply is stored, and
// charged, before the first word is sent: who leaves early, or never reads it, finds
// it in the conversation. One unit of "streams" is held until the last word.
func (m *Room) streamReply(w http.ResponseWriter, r *http.Request, id, model, text string) {
	account, err := m.plans.enforcer.Account(r.Context())
	if err != nil {
		m.Refuse(w, r, err)
		return
	}
	slot, decision := account.Claim(r.Context(), quota.Claim{Limit: m.plans.streams, N: 1})
	if err := decision.Err(); err != nil {
		m.Refuse(w, r, err)
		return
	}
	defer slot.Done()
	reply, err := m.work.Prompt(r.Context(), id, model, text)
	if err != nil {
		m.refused(w, r, err, model, draft{}, nil)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // for nginx
	send(r.Context(), w, pieces(reply, maxPieces))
}

// send writes an event for each piece, and one that ends the stream. It stops when ctx
// ends or the client is gone.
func send(ctx context.Context, w http.ResponseWriter, pieces []string) {
	out := http.NewResponseController(w)
	ticks := time.NewTicker(pace)
	defer ticks.Stop()
	for _, piece := range pieces {
		data, _ := json.Marshal(piece) // a string always encodes
		_, err := fmt.Fprintf(w, "data: %s\n\n", data)
		if err != nil || out.Flush() != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
	_, _ = io.WriteString(w, "event: done\ndata:\n\n")
}

// pieces cuts text after words, into at most n pieces of about the same number.
func pieces(text string, n int) []string {
	words := strings.SplitAfter(text, " ")
	size := (len(words) + n - 1) / n
	var cut []string
	for len(words) > 0 {
		take := min(size, len(words))
		cut = append(cut, strings.Join(words[:take], ""))
		words = words[take:]
	}
	return cut
}
