package selftest

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

var (
	assetLink = regexp.MustCompile(`(?:href|src)="(/static/[^"]+)"`)
	inline    = regexp.MustCompile(`(?i)<style|<script(?:>|[^>]*>[^<])|\sstyle=|\son[a-z]+=|javascript:`)
	elsewhere = regexp.MustCompile(`(?:href|src|action)="(?:https?:)?//([^"/]+)`)
)

// site checks the platform's own pages.
func (t *run) site() {
	t.section("Platform's site at localhost:" + t.port)
	landing := t.get(t.ctx, platform, "/")
	t.check("front page, with both sample workspaces", landing.want(http.StatusOK, "Create your workspace", "Acme Robotics", "Globex Research"))
	t.check("the same by IP address, where links go by path", t.get(t.ctx, place{host: "127.0.0.1"}, "/").want(http.StatusOK, `href="/t/acme/"`))
	t.check("security headers", headers(landing))
	t.check("nothing inline, nothing from other hosts", selfContained(landing))
	t.check("style sheets, script and icon are served and cached for good", t.assets(landing))
	t.check("unknown page is 404", t.get(t.ctx, platform, "/nothing").want(http.StatusNotFound))
	t.check("unknown asset is 404", t.get(t.ctx, platform, "/static/../app.go").want(http.StatusNotFound))
	t.check("a path without a name, /t/, is no workspace", t.get(t.ctx, platform, "/t/").want(http.StatusNotFound))
}

func headers(p page) error {
	wanted := map[string]string{
		"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff",
		"Referrer-Policy": "same-origin", "Cache-Control": "no-store",
	}
	for name, value := range wanted {
		if got := p.header.Get(name); !strings.Contains(got, value) {
			return fmt.Errorf("%s: want %q, got %q", name, value, got)
		}
	}
	if policy := p.header.Get("Content-Security-Policy"); strings.Contains(policy, "unsafe") {
		return fmt.Errorf("the policy allows something unsafe: %s", policy)
	}
	return nil
}

// selfContained returns nil if the page keeps to the policy, and its links to
// localhost.
func selfContained(p page) error {
	if found := inline.FindString(p.body); found != "" {
		return fmt.Errorf("found %q", found)
	}
	for _, link := range elsewhere.FindAllStringSubmatch(p.body, -1) {
		if host, _, _ := strings.Cut(link[1], ":"); host != "localhost" && !strings.HasSuffix(host, ".localhost") {
			return fmt.Errorf("found a link to %s", link[1])
		}
	}
	return p.err
}

func (t *run) assets(p page) error {
	links := assetLink.FindAllStringSubmatch(p.body, -1)
	if len(links) < 5 {
		return fmt.Errorf("want at least 5 assets, got %d", len(links))
	}
	var all []error
	for _, link := range links {
		asset := t.get(t.ctx, platform, link[1])
		err := asset.want(http.StatusOK)
		if err == nil && !strings.Contains(asset.header.Get("Cache-Control"), "immutable") {
			err = errors.New("is not cached")
		}
		if err != nil {
			all = append(all, fmt.Errorf("%s: %w", link[1], err))
		}
	}
	return errors.Join(all...)
}
