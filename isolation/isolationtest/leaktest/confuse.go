package leaktest

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// confusion adds to a request what may make a program take it for another tenant's.
type confusion struct {
	name   string
	change func(*Request)
}

// Names that programs trust too easily.
var (
	hostHeaders   = []string{"X-Forwarded-Host", "X-Original-Host", "X-Host", "X-Forwarded-Server"}
	tenantHeaders = []string{
		"X-Tenant", "X-Tenant-Id", "X-Tenant-Slug", "X-Org", "X-Org-Id", "X-Organization", "X-Organization-Id",
		"X-Account", "X-Account-Id", "X-Workspace", "X-Workspace-Id", "X-Customer", "X-Customer-Id",
	}
	tenantParameters = []string{
		"tenant", "tenant_id", "tenantId", "org", "org_id", "orgId", "organization", "organization_id", "account", "account_id", "accountId",
		"workspace", "workspace_id", "workspaceId", "customer", "customer_id",
	}
)

// confusions returns those that p's attack may try. A tenant without credentials is
// whom the address names, so that naming the victim's address is no attack.
func confusions(p pair, step Step, credentialed bool) []confusion {
	victim := p.foreign.by
	var all []confusion
	for _, at := range victim.addresses() {
		all = append(all, confuseHost(at, p.own.by, credentialed)...)
		all = append(all, confusePath(at, p.own.by, credentialed)...)
	}
	for _, name := range victim.names() {
		all = append(all,
			confusion{"tenant headers of " + name, func(r *Request) {
				for _, header := range tenantHeaders {
					if credentialed || !names(header, p.own.by, victim) {
						r.Header.Set(header, name)
					}
				}
			}},
			confusion{"tenant parameters and cookies of " + name, func(r *Request) {
				r.addQuery(tenantParameters, name)
				r.addCookies(tenantParameters, name)
			}},
		)
		if !step.reads() {
			all = append(all, confusion{"tenant fields of " + name + " in the body", func(r *Request) { r.addFields(tenantParameters, name) }})
		}
	}
	return all
}

// names reports whether a header is part of an address of the tenants.
func names(header string, tenants ...*actor) bool {
	for _, t := range tenants {
		for _, at := range t.addresses() {
			if at.Header.Get(header) != "" {
				return true
			}
		}
	}
	return false
}

func confuseHost(at Address, own *actor, credentialed bool) []confusion {
	var all []confusion
	if at.Host != own.Host {
		all = append(all, confusion{"forwarded for " + at.Host, func(r *Request) {
			for _, name := range hostHeaders {
				r.Header.Set(name, at.Host)
			}
			r.Header.Set("Forwarded", "host="+at.Host)
		}})
	}
	if !credentialed {
		return all
	}
	if at.Host != own.Host {
		label, _, _ := strings.Cut(at.Host, ".")
		all = append(all,
			confusion{"two hosts, " + at.Host + " last", func(r *Request) { r.Host += ", " + at.Host }},
			confusion{"two hosts, " + at.Host + " first", func(r *Request) { r.Host = at.Host + ", " + r.Host }},
			confusion{"host below the own one: " + label, func(r *Request) { r.Host = label + "." + r.Host }},
		)
	}
	for header, values := range at.Header {
		header = http.CanonicalHeaderKey(header)
		all = append(all,
			confusion{"a second " + header, func(r *Request) { r.Header[header] = slices.Concat(r.Header[header], values) }},
			confusion{"a first " + header, func(r *Request) { r.Header[header] = slices.Concat(values, r.Header[header]) }},
		)
	}
	return all
}

func confusePath(at Address, own *actor, credentialed bool) []confusion {
	if at.Base == "" {
		return nil // its paths name nobody
	}
	below := func(r *Request) string { return strings.TrimPrefix(r.Target, own.Base) }
	all := []confusion{
		{at.Base + " below the own path", func(r *Request) { r.Target = own.Base + at.Base + below(r) }},
	}
	if at.Host == own.Host && !credentialed {
		return all // the others lead to the victim's address, where everybody may go
	}
	return append(all,
		confusion{"rewritten from " + at.Base, func(r *Request) {
			r.Header.Set("X-Original-Url", at.Base+below(r))
			r.Header.Set("X-Rewrite-Url", at.Base+below(r))
		}},
		confusion{at.Base + " behind dots", func(r *Request) {
			r.Target = own.Base + strings.Repeat("/..", strings.Count(own.Base, "/")) + at.Base + below(r)
		}},
		confusion{at.Base + " before dots", func(r *Request) {
			r.Target = at.Base + strings.Repeat("/%2e%2e", strings.Count(at.Base, "/")) + own.Base + below(r)
		}},
		confusion{"//" + at.Base, func(r *Request) { r.Target = "/" + at.Base + below(r) }},
	)
}

func (r *Request) addQuery(names []string, value string) {
	path, query, _ := strings.Cut(r.Target, "?")
	for _, name := range names {
		if query != "" {
			query += "&"
		}
		query += name + "=" + url.QueryEscape(value)
	}
	r.Target = path + "?" + query
}

func (r *Request) addCookies(names []string, value string) {
	cookies := r.Header.Get("Cookie")
	for _, name := range names {
		if cookies != "" {
			cookies += "; "
		}
		cookies += name + "=" + value
	}
	r.Header.Set("Cookie", cookies)
}

// addFields adds fields to a form or to an object in JSON.
func (r *Request) addFields(names []string, value string) {
	kind := r.Header.Get("Content-Type")
	switch {
	case strings.HasPrefix(kind, "application/x-www-form-urlencoded"):
		form := url.Values{}
		for _, name := range names {
			form.Set(name, value)
		}
		r.Body = bytes.Join([][]byte{r.Body, []byte(form.Encode())}, []byte("&"))
	case strings.HasPrefix(kind, "application/json"):
		body, isObject := bytes.CutPrefix(bytes.TrimSpace(r.Body), []byte("{"))
		if !isObject {
			return
		}
		var b strings.Builder
		for _, name := range names {
			b.WriteString(`"` + name + `":"` + inJSON(value) + `",`)
		}
		if bytes.HasPrefix(bytes.TrimSpace(body), []byte("}")) {
			r.Body = []byte("{" + strings.TrimSuffix(b.String(), ",") + string(body))
			return
		}
		r.Body = []byte("{" + b.String() + string(body))
	}
}
