package leaktest

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"html"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// Bounds of what is unpacked.
const (
	maxUnpacked = 64 << 20
	maxDepth    = 4
)

// view is data, or what it becomes when it is decoded.
type view struct {
	form string
	data []byte
}

// views returns data and all that it contains in another form.
func views(data []byte) []view { return unfold(view{data: data}, 0) }

func unfold(v view, depth int) []view {
	all := []view{v}
	if depth == maxDepth {
		return all
	}
	for _, inner := range unpack(v.data) {
		all = append(all, unfold(view{join(v.form, inner.form), inner.data}, depth+1)...)
	}
	for _, inner := range unescape(v.data) {
		all = append(all, view{join(v.form, inner.form), inner.data})
	}
	return all
}

// unpack returns what is compressed in data, as a whole or as a run of base64.
func unpack(data []byte) []view {
	switch {
	case bytes.HasPrefix(data, []byte("\x1f\x8b")):
		if r, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
			return []view{{"gzip", readSome(r)}}
		}
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return unzip(data)
	case len(data) > 2 && data[0] == 0x78 && (int(data[0])<<8|int(data[1]))%31 == 0:
		if r, err := zlib.NewReader(bytes.NewReader(data)); err == nil {
			return []view{{"deflate", readSome(r)}}
		}
	}
	return inRuns(data)
}

// readSome returns what can be read, even of a stream that was cut off.
func readSome(r io.Reader) []byte {
	data, _ := io.ReadAll(io.LimitReader(r, maxUnpacked)) // what came before an error counts
	return data
}

func unzip(data []byte) []view {
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil
	}
	var all []view
	for _, f := range r.File {
		content, err := f.Open()
		if err != nil {
			continue
		}
		all = append(all, view{"zip", []byte(f.Name)}, view{"zip", readSome(content)})
		_ = content.Close() // it was only read
	}
	return all
}

// packedBegins are what base64 of gzip, zip and zlib data begins with.
var packedBegins = [][]byte{[]byte("H4sI"), []byte("UEsD"), []byte("eJ"), []byte("eA"), []byte("eN")}

// shortestPacked is less than base64 of any compressed canary takes.
const shortestPacked = 24

// inRuns returns what is compressed in runs of base64.
func inRuns(data []byte) []view {
	var all []view
	for _, begin := range packedBegins {
		for at := 0; ; {
			i := bytes.Index(data[at:], begin)
			if i < 0 {
				break
			}
			at += i
			run := base64Run(data[at:])
			if at++; len(run) < shortestPacked {
				continue
			}
			for _, inner := range unpack(run.decode()) {
				all = append(all, view{join("base64", inner.form), inner.data})
			}
		}
	}
	return all
}

type letters []byte

// base64Run returns the letters of base64 that data begins with.
func base64Run(data []byte) letters {
	for i, c := range data {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !bytes.ContainsRune([]byte("+/-_"), rune(c)) {
			return data[:i]
		}
	}
	return data
}

// decode returns what the letters stand for in either alphabet, as far as it goes.
func (l letters) decode() []byte {
	text := strings.NewReplacer("-", "+", "_", "/").Replace(string(l))
	decoded := make([]byte, len(text))
	n, _ := base64.RawStdEncoding.Decode(decoded, []byte(text)) // what it could decode
	return decoded[:n]
}

// unescape returns data without escapes of URLs, HTML and JSON, and without line breaks.
func unescape(data []byte) []view {
	var all []view
	if bytes.IndexByte(data, '%') >= 0 {
		all = append(all, view{"percent-encoded", escapes(data, percent)})
	}
	if bytes.Contains(data, []byte("&#")) {
		all = append(all, view{"HTML entities", []byte(html.UnescapeString(string(data)))})
	}
	if bytes.Contains(data, []byte(`\u`)) {
		all = append(all, view{"JSON escapes", escapes(data, jsonEscape)})
	}
	if bytes.IndexByte(data, '\n') >= 0 {
		all = append(all, view{"wrapped lines", wrapped.ReplaceAll(data, nil)})
	}
	return all
}

var (
	percent    = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
	jsonEscape = regexp.MustCompile(`\\u00[0-9A-Fa-f]{2}`)
	wrapped    = regexp.MustCompile(`=?\r?\n[ \t]*`)
)

// escapes replaces escapes that end in two hexadecimal digits.
func escapes(data []byte, pattern *regexp.Regexp) []byte {
	return pattern.ReplaceAllFunc(data, func(escape []byte) []byte {
		c, err := strconv.ParseUint(string(escape[len(escape)-2:]), 16, 8)
		if err != nil {
			return escape
		}
		return []byte{byte(c)}
	})
}
