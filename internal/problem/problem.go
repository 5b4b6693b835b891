package problem

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// ContentType is the media type of what [Write] sends.
const ContentType = "application/problem+json"

// typeBase is a tag URI (RFC 4151): it names a type of problem for programs to
// compare, and promises no page behind it.
const typeBase = "tag:tenancy-go.github.io,2026:problem:"

// Type returns the URI of the type of problem called name: lower-case words
// joined by hyphens.
func Type(name string) string { return typeBase + name }

// Problem is what went wrong, as the client may know it.
type Problem struct {
	Type       string         // URI, see [Type]; left out if empty, which stands for about:blank
	Title      string         // the same for every problem of the type
	Status     int            // HTTP status; 500 if it is no error's
	Detail     string         // about this one; left out if empty
	Members    map[string]any // further members, such as a limit; those named as a field above are ignored
	RetryAfter time.Duration  // when to come back, rounded up to a second; no header if it is not above zero
}

// Write answers r with p. The answer is marked as not to be stored, headers
// that describe another body are removed, and a HEAD request gets no body.
func Write(w http.ResponseWriter, r *http.Request, p Problem) {
	if p.Status < 400 || p.Status > 599 {
		p.Status = http.StatusInternalServerError
	}
	body, err := p.encode()
	if err != nil {
		p.Members = nil
		body, _ = p.encode() // strings and a number always encode
	}

	header := w.Header()
	for _, other := range []string{"Content-Encoding", "Content-Range", "Etag", "Last-Modified", "Retry-After"} {
		header.Del(other)
	}
	header.Set("Content-Type", ContentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if p.RetryAfter > 0 {
		seconds := (p.RetryAfter + time.Second - 1) / time.Second
		header.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that is gone needs no answer
	}
}

func (p Problem) encode() ([]byte, error) {
	members := make(map[string]any, len(p.Members)+4)
	maps.Copy(members, p.Members)
	for name, value := range map[string]string{"type": p.Type, "title": p.Title, "detail": p.Detail} {
		delete(members, name)
		if value != "" {
			members[name] = value
		}
	}
	members["status"] = p.Status
	return json.Marshal(members)
}
