package selftest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

var tile = regexp.MustCompile(`<dt>([A-Za-z ]+)</dt><dd>([0-9,]+)</dd>`)

// workspaces checks what a workspace does, in both ways to address one.
func (t *run) workspaces() {
	for _, own := range []struct{ slug, name, accent, row string }{
		{"acme", "Acme Robotics", "#0b6bcb", "Gripper review"},
		{"globex", "Globex Research", "#2c7a4b", "river sensors"},
	} {
		for _, at := range []place{bySubdomain(own.slug), byPath(own.slug)} {
			t.section("Workspace " + at.String())
			home := t.get(t.ctx, at, "/")
			t.check("front page with its name and rows", home.want(http.StatusOK, own.name, own.row))
			t.check("its own colour in a style sheet", t.get(t.ctx, at, "/theme.css").want(http.StatusOK, "--accent:"+own.accent))
			t.check("security headers, nothing inline, nothing from elsewhere", errors.Join(headers(home), selfContained(home)))
			t.check("links stay under its address", staysUnder(home, at))
			t.check("every page of the menu", t.menu(at, own.name))
			t.check("unknown page is 404", t.get(t.ctx, at, "/nothing").want(http.StatusNotFound))
		}
	}
	for _, at := range []place{bySubdomain(newcomer), byPath(newcomer)} {
		t.section("A day's work at " + at.String())
		t.conversation(at)
		t.documents(at)
	}
	t.section("Usage and settings of " + newcomer)
	t.usage()
	t.settings()
}

// staysUnder returns nil if no link of the page leaves its workspace.
func staysUnder(p page, at place) error {
	link := regexp.MustCompile(`(?:href|action)="(/[^"]*)"`)
	for _, found := range link.FindAllStringSubmatch(p.body, -1) {
		if !strings.HasPrefix(found[1], at.base+"/") && !strings.HasPrefix(found[1], "/static/") {
			return fmt.Errorf("found a link to %s", found[1])
		}
	}
	return nil
}

func (t *run) menu(at place, name string) error {
	var all []error
	for _, path := range []string{"/conversations", "/documents", "/documents/new", "/usage", "/settings"} {
		p := t.get(t.ctx, at, path)
		all = append(all, p.want(http.StatusOK, name), selfContained(p), staysUnder(p, at))
	}
	return errors.Join(all...)
}

func (t *run) conversation(at place) {
	id, err := t.converse(at, "echo", "What is <b>new</b>?")
	t.check("a prompt starts a conversation", err)
	path := "/conversations/" + id
	thread := t.get(t.ctx, at, path)
	t.check("the model echo says it back, escaped", errors.Join(thread.want(http.StatusOK, "2 messages"), count(thread, "<p>What is &lt;b&gt;new&lt;/b&gt;?</p>", 2)))
	text := "Rain fell on the tents. The budget grows when teams share the budget plan, and teams plan the budget early. Cats sleep."
	t.check("the model summarise answers in it", errors.Join(
		t.post(t.ctx, at, path+"/messages", url.Values{"model": {"summarise"}, "text": {text}}).redirects(at.base+path+"#latest"),
		t.get(t.ctx, at, path).want(http.StatusOK, "4 messages", "<p>The budget grows when teams share the budget plan, and teams plan the budget early.</p>")))
	t.check("it is in the list", t.get(t.ctx, at, "/conversations").want(http.StatusOK, id))
	t.check("an empty prompt is refused, at its field", t.post(t.ctx, at, path+"/messages", url.Values{"model": {"echo"}, "text": {" \n"}}).
		want(http.StatusUnprocessableEntity, "Write something first", "4 messages"))
	t.check("a prompt that is too long is refused", t.post(t.ctx, at, "/conversations", url.Values{"model": {"echo"}, "text": {strings.Repeat("a", 20_001)}}).
		want(http.StatusUnprocessableEntity, "Keep it to 20000 characters"))
	t.check("an unknown model is refused", t.post(t.ctx, at, "/conversations", url.Values{"model": {"gpt"}, "text": {"hi"}}).
		want(http.StatusUnprocessableEntity, "Choose one of the models"))
	t.check("deleted, it is gone", errors.Join(
		t.post(t.ctx, at, path+"/delete", nil).redirects(at.base+"/conversations"),
		t.get(t.ctx, at, path).want(http.StatusNotFound),
		t.post(t.ctx, at, path+"/delete", nil).want(http.StatusNotFound)))
}

func (t *run) documents(at place) {
	id, err := t.file(at, "Notes & plans", "Alpha beta gamma delta. Beta gamma beta gamma epsilon zeta. Rain. Snow. Hail. Sleet.\n\nSecond paragraph.")
	t.check("a document is added", err)
	path := "/documents/" + id
	t.check("it can be read, paragraph by paragraph", t.get(t.ctx, at, path).want(http.StatusOK, "Notes &amp; plans", "<p>Second paragraph.</p>", "Not summarised yet"))
	t.check("it is summarised, and keeps the summary", errors.Join(
		t.post(t.ctx, at, path+"/summary", nil).redirects(at.base+path),
		t.get(t.ctx, at, path).want(http.StatusOK, `<p class="summary-text">Alpha beta gamma delta. Beta gamma beta gamma epsilon zeta.</p>`)))
	t.check("it is in the list", t.get(t.ctx, at, "/documents").want(http.StatusOK, id))
	t.check("one without title or text is refused, at the field", errors.Join(
		t.post(t.ctx, at, "/documents", url.Values{"text": {"x"}}).want(http.StatusUnprocessableEntity, `id="title-fault"`),
		t.post(t.ctx, at, "/documents", url.Values{"title": {"x"}}).want(http.StatusUnprocessableEntity, `id="text-fault"`)))
	t.check("a body beyond all bounds is refused", t.post(t.ctx, at, "/documents", url.Values{"title": {"x"}, "text": {strings.Repeat("x", 5<<20)}}).want(http.StatusRequestEntityTooLarge))
	t.check("deleted, it is gone", errors.Join(
		t.post(t.ctx, at, path+"/delete", nil).redirects(at.base+"/documents"),
		t.get(t.ctx, at, path).want(http.StatusNotFound)))
}

// usage checks the figures after conversation and documents ran at two addresses.
func (t *run) usage() {
	totals := t.totals(newcomer)
	t.check("two prompts, a summary and a document at each address", equal(totals, map[string]int{
		"Prompts": 4, "Summaries": 2, "Documents added": 2, "Words": totals["Words"],
	}))
	p := t.get(t.ctx, bySubdomain(newcomer), "/usage")
	t.check("by model and by day, with a chart", p.want(http.StatusOK, `<th scope="row">echo</th><td>2</td>`, `<th scope="row">summarise</th><td>2</td><td>2</td>`, `class="chart-bar"`))
	t.check("a workspace that did nothing has none", equal(t.totals("by-path"), map[string]int{"Prompts": 0, "Summaries": 0, "Documents added": 0, "Words": 0}))
}

func (t *run) settings() {
	at := bySubdomain(newcomer)
	changed := url.Values{"name": {"Initech GmbH"}, "accent": {"#b8327f"}}
	t.check("a new name and colour show at once, at both addresses", errors.Join(
		t.post(t.ctx, at, "/settings", changed).redirects("/settings"),
		t.get(t.ctx, at, "/").want(http.StatusOK, "Initech GmbH"),
		t.get(t.ctx, byPath(newcomer), "/theme.css").want(http.StatusOK, "--accent:#b8327f")))
	t.check("a colour that is none is refused", t.post(t.ctx, at, "/settings", url.Values{"name": {"x"}, "accent": {"url(//evil.example)"}}).
		want(http.StatusUnprocessableEntity, "Choose one of the colours"))
	t.check("the others look as before", t.get(t.ctx, bySubdomain("acme"), "/theme.css").want(http.StatusOK, "--accent:#0b6bcb"))
}

// converse starts a conversation and returns its ID.
func (t *run) converse(at place, model, text string) (string, error) {
	return t.create(at, "/conversations", url.Values{"model": {model}, "text": {text}})
}

// file adds a document and returns its ID.
func (t *run) file(at place, title, text string) (string, error) {
	return t.create(at, "/documents", url.Values{"title": {title}, "text": {text}})
}

func (t *run) create(at place, path string, form url.Values) (string, error) {
	p := t.post(t.ctx, at, path, form)
	if err := p.want(http.StatusSeeOther); err != nil {
		return "", err
	}
	id, ok := strings.CutPrefix(p.header.Get("Location"), at.base+path+"/")
	if !ok {
		return "", fmt.Errorf("want a redirect below %s, got %s", at.base+path, p.header.Get("Location"))
	}
	return id, nil
}

// totals reads the figures of a workspace's usage page.
func (t *run) totals(slug string) map[string]int {
	figures := make(map[string]int)
	for _, found := range tile.FindAllStringSubmatch(t.get(t.ctx, bySubdomain(slug), "/usage").body, -1) {
		figures[found[1]], _ = strconv.Atoi(strings.ReplaceAll(found[2], ",", ""))
	}
	return figures
}

func equal(got, want map[string]int) error {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("want %v, got %v", want, got)
	}
	return nil
}

func count(p page, text string, want int) error {
	if got := strings.Count(p.body, text); got != want {
		return fmt.Errorf("want %q %d times, got %d", text, want, got)
	}
	return nil
}
