package selftest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// client asks the program under any host name. It follows no redirect and keeps no
// cookie.
type client struct {
	http *http.Client
	addr string // host and port of the program
	port string
}

func newClient(addr string) (*client, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, addr) // whatever the name
		},
		MaxIdleConnsPerHost: 16,
	}
	return &client{
		http: &http.Client{
			Transport:     transport,
			Timeout:       30 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		addr: addr,
		port: port,
	}, nil
}

// place is where a site is: a host name without port, and what paths begin with.
type place struct{ host, base string }

var platform = place{host: "localhost"}

// bySubdomain and byPath are the two addresses of a workspace.
func bySubdomain(slug string) place { return place{host: slug + ".localhost"} }
func byPath(slug string) place      { return place{host: "localhost", base: "/t/" + slug} }

func (p place) String() string { return p.host + p.base }

// page is what was answered.
type page struct {
	status int
	header http.Header
	body   string
	err    error // why nothing was
}

// change alters a request before it is sent.
type change func(*http.Request)

func header(name, value string) change {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// asProgram asks as an API client does, not as a browser.
func asProgram(r *http.Request) { r.Header.Set("Accept", "application/json") }

func (c *client) get(ctx context.Context, at place, path string, changes ...change) page {
	return c.send(ctx, http.MethodGet, at, path, nil, changes)
}

func (c *client) post(ctx context.Context, at place, path string, form url.Values, changes ...change) page {
	if form == nil {
		form = url.Values{}
	}
	return c.send(ctx, http.MethodPost, at, path, form, changes)
}

func (c *client) send(ctx context.Context, method string, at place, path string, form url.Values, changes []change) page {
	resp, err := c.open(ctx, method, at, path, form, changes)
	if err != nil {
		return page{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	resp.Header.Del("Date")
	return page{status: resp.StatusCode, header: resp.Header, body: string(body), err: err}
}

// open is send without reading the body, which has to be closed.
func (c *client) open(ctx context.Context, method string, at place, path string, form url.Values, changes []change) (*http.Response, error) {
	address := "http://" + net.JoinHostPort(at.host, c.port) + at.base + path
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/html")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for _, change := range changes {
		change(req)
	}
	return c.http.Do(req)
}

// want returns nil if the page has the status and all texts.
func (p page) want(status int, texts ...string) error {
	if p.err != nil {
		return p.err
	}
	if p.status != status {
		return fmt.Errorf("want status %d, got %d: %.200s", status, p.status, p.body)
	}
	for _, text := range texts {
		if !strings.Contains(p.body, text) {
			return fmt.Errorf("want %q in the page, got %.200s", text, p.body)
		}
	}
	return nil
}

// lacks returns nil if the page has none of texts.
func (p page) lacks(texts ...string) error {
	for _, text := range texts {
		if strings.Contains(p.body, text) {
			return fmt.Errorf("found %q in the page", text)
		}
	}
	return p.err
}

// redirects returns nil if the page sends the browser to target.
func (p page) redirects(target string) error {
	if err := p.want(http.StatusSeeOther); err != nil {
		return err
	}
	if got := p.header.Get("Location"); got != target {
		return fmt.Errorf("want a redirect to %s, got %s", target, got)
	}
	return nil
}

// same returns nil if p and other cannot be told apart: status, headers and body. What
// is left of the tenant's limits is less after each.
func (p page) same(other page) error {
	if p.err != nil || other.err != nil {
		return errors.Join(p.err, other.err)
	}
	one := fmt.Sprint(p.status, unlimited(p.header), p.body)
	if two := fmt.Sprint(other.status, unlimited(other.header), other.body); one != two {
		return fmt.Errorf("answers differ: %.300s\nand %.300s", one, two)
	}
	return nil
}

// unlimited returns h without what is left of limits.
func unlimited(h http.Header) http.Header {
	h = h.Clone()
	h.Del("RateLimit")
	h.Del("Quota-Warning")
	return h
}
