package selftest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
)

const (
	workers   = 16
	perWorker = 25
)

// concurrency lets many browsers work in both workspaces at the same time, with
// fewer connections than requests. Each reads and writes its tenant's word; no page
// may show the other's, and no prompt may be lost.
func (t *run) concurrency() {
	t.section(fmt.Sprintf("%d requests by %d browsers at once, in both workspaces", workers*perWorker, workers))
	names := [2]string{"acme", "globex"}
	var own [2]belongings
	var errs [2]error
	for i, name := range names {
		own[i], errs[i] = t.acquire(name)
	}
	t.check("each workspace has its word", errors.Join(errs[:]...))

	var all sync.WaitGroup
	found := make([]error, workers)
	for w := range workers {
		all.Go(func() {
			self := w % 2
			found[w] = t.browse(w, names[self], own[self], own[1-self])
		})
	}
	all.Wait()
	t.check("every answer is right, and no page shows the other's word", errors.Join(found...))
	for i, name := range names {
		messages := 2 + 2*workers/2*((perWorker+4)/5)
		t.check(name+" has every prompt exactly once", t.get(t.ctx, bySubdomain(name), "/conversations/"+own[i].conversation).
			want(http.StatusOK, fmt.Sprintf("%d messages", messages)))
	}
}

// browse makes one browser's requests: every fifth writes.
func (t *run) browse(worker int, slug string, own, other belongings) error {
	at := bySubdomain(slug)
	if worker%4 >= 2 {
		at = byPath(slug)
	}
	conversation := "/conversations/" + own.conversation
	for i := range perWorker {
		var p page
		var err error
		switch i % 5 {
		case 0:
			text := fmt.Sprintf("%s from %d, %d", own.secret, worker, i)
			p = t.post(t.ctx, at, conversation+"/messages", url.Values{"model": {"echo"}, "text": {text}})
			err = p.want(http.StatusSeeOther)
		case 1:
			p = t.get(t.ctx, at, conversation)
			err = p.want(http.StatusOK, own.secret)
		case 2:
			p = t.get(t.ctx, at, "/")
			err = p.want(http.StatusOK, own.secret)
		case 3:
			p = t.get(t.ctx, at, "/documents/"+own.document)
			err = p.want(http.StatusOK, own.secret)
		default:
			p = t.get(t.ctx, at, "/conversations/"+other.conversation)
			err = p.want(http.StatusNotFound)
		}
		if err := errors.Join(err, p.lacks(other.secret)); err != nil {
			return fmt.Errorf("browser %d, request %d: %w", worker, i, err)
		}
	}
	return nil
}
