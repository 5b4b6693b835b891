package leaktest

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
)

// Request is a request as it was sent.
type Request struct {
	Method string
	Host   string
	Target string // path and query
	Header http.Header
	Body   []byte
}

// Curl returns a command that sends the request again.
func (r Request) Curl() string {
	var b strings.Builder
	fmt.Fprintf(&b, "curl -sS -i --path-as-is -X %s", r.Method)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, value := range r.Header[name] {
			b.WriteString(" -H " + shellQuote(name+": "+value))
		}
	}
	if len(r.Body) > 0 {
		b.WriteString(" --data-binary " + shellQuote(string(r.Body)))
	}
	b.WriteString(" " + shellQuote("http://"+r.Host+r.Target))
	return b.String()
}

// shellQuote quotes s for a POSIX shell, and for bash where it is not plain text.
func shellQuote(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == '\uFFFD' }) {
		quoted := fmt.Sprintf("%+q", s)
		return "$'" + strings.ReplaceAll(strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`), "'", `\'`) + "'"
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// bytes returns all that the application gets to see.
func (r Request) bytes() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s\n%s\n", r.Method, r.Target, r.Host)
	_ = r.Header.Write(&b) // a buffer takes everything
	b.WriteString("\n")
	b.Write(r.Body)
	return b.Bytes()
}

// build makes a step's request. Values come from value, cookies from jar and value too.
func build(step Step, extra http.Header, at Address, jar map[string]string, value lookup) (Request, error) {
	r := Request{Method: step.method(), Host: at.Host, Header: make(http.Header)}
	var err error
	if r.Target, err = target(step.Path, at.Base, value); err != nil {
		return r, err
	}
	for name, values := range at.Header {
		r.Header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	for _, header := range []http.Header{extra, step.Header} {
		if err := r.setHeader(header, value); err != nil {
			return r, err
		}
	}
	if err := r.setCookies(jar, step.Cookies, value); err != nil {
		return r, err
	}
	return r, r.setBody(step, value)
}

func (r *Request) setHeader(header http.Header, value lookup) error {
	for name, templates := range header {
		name = http.CanonicalHeaderKey(name)
		r.Header.Del(name)
		for _, template := range templates {
			v, err := expand(template, "header "+name, verbatim, value)
			if err != nil {
				return err
			}
			r.Header.Add(name, v)
		}
	}
	return nil
}

// cookieVar names the artefact that a cookie of the jar is.
func cookieVar(name string) string { return "cookie " + name }

func (r *Request) setCookies(jar, own map[string]string, value lookup) error {
	cookies := make(map[string]string)
	for name := range jar {
		v, err := value(cookieVar(name), "cookie "+name)
		if err != nil {
			return err
		}
		cookies[name] = v
	}
	for name, template := range own {
		v, err := expand(template, "cookie "+name, verbatim, value)
		if err != nil {
			return err
		}
		cookies[name] = v
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(cookies)) {
		pairs = append(pairs, name+"="+cookies[name])
	}
	if len(pairs) > 0 {
		r.Header.Set("Cookie", strings.Join(pairs, "; "))
	}
	return nil
}

func (r *Request) setBody(step Step, value lookup) error {
	var text string
	var err error
	switch {
	case step.Form != nil:
		form := make(url.Values)
		for name, template := range step.Form {
			v, err := expand(template, "form field "+name, verbatim, value)
			if err != nil {
				return err
			}
			form.Set(name, v)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		text = form.Encode()
	case step.JSON != "":
		setDefault(r.Header, "Content-Type", "application/json")
		text, err = expand(step.JSON, "JSON body", inJSON, value)
	case step.Multipart != nil:
		return r.setMultipart(step.Multipart, value)
	default:
		text, err = expand(step.Body, "body", verbatim, value)
	}
	r.Body = []byte(text)
	return err
}

func (r *Request) setMultipart(parts []Part, value lookup) error {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, part := range parts {
		place := "multipart field " + part.Name
		filename, err := expand(part.Filename, place, verbatim, value)
		if err != nil {
			return err
		}
		content, err := expand(part.Content, place, verbatim, value)
		if err != nil {
			return err
		}
		h := textproto.MIMEHeader{"Content-Disposition": {disposition(part.Name, filename)}}
		if part.Type != "" {
			h.Set("Content-Type", part.Type)
		}
		field, err := w.CreatePart(h)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(field, content); err != nil {
			return err
		}
	}
	r.Header.Set("Content-Type", w.FormDataContentType())
	if err := w.Close(); err != nil {
		return err
	}
	r.Body = b.Bytes()
	return nil
}

func disposition(name, filename string) string {
	escape := strings.NewReplacer("\\", "\\\\", `"`, "\\\"", "\r", "%0D", "\n", "%0A").Replace
	text := `form-data; name="` + escape(name) + `"`
	if filename != "" {
		text += `; filename="` + escape(filename) + `"`
	}
	return text
}

func setDefault(h http.Header, name, value string) {
	if h.Get(name) == "" {
		h.Set(name, value)
	}
}
