package leaktest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzFind puts a canary between bytes from outside. Whatever they are, it is found.
func FuzzFind(f *testing.F) {
	f.Add([]byte("before "), []byte(" after"))
	f.Add([]byte{0x1f, 0x8b, 8, 0}, []byte{0})
	f.Add([]byte("PK\x03\x04"), []byte("H4sIAAAAAAAA/+eJ"))
	f.Add([]byte(`%4`), []byte(`\u00`))
	f.Add([]byte("\u0130\u0130\u0130\xff\xfe"), []byte{})
	c := newCanaries(2)
	s := newScanner(c.words)
	canary := c.mint(1, "fuzzing")
	f.Fuzz(func(t *testing.T, before, after []byte) {
		for _, text := range []string{
			canary, strings.ToUpper(canary), hex.EncodeToString([]byte(canary)),
			base64.StdEncoding.EncodeToString(append(bytes.Clone(before), canary...)),
		} {
			data := bytes.Join([][]byte{before, []byte(text), after}, nil)
			found := s.find(data)
			require.NotEmpty(t, found)
			owners := map[int]bool{}
			for _, sighting := range found {
				owners[sighting.owner] = true
			}
			assert.Equal(t, map[int]bool{1: true}, owners)
		}
	})
}

// A value that nobody has looks like the one that somebody has.
func TestMadeUp(t *testing.T) {
	t.Parallel()
	for _, known := range []string{
		"550e8400-e29b-41d4-a716-446655440000", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "deadbeefcafe", "INVOICE-2024-00017", "a_b", "9223372036854775807",
	} {
		got := madeUp(known)
		assert.NotEqual(t, known, got)
		assert.Equal(t, shape(known), shape(got), "%s became %s", known, got)
	}
	assert.Regexp(t, `^9\d{8}$`, madeUp("17"))
}

// shape replaces letters and digits by what kind they are of.
func shape(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9':
			return '0'
		case r >= 'a' && r <= 'z':
			return 'a'
		case r >= 'A' && r <= 'Z':
			return 'A'
		}
		return r
	}, s)
}

func TestCurl(t *testing.T) {
	t.Parallel()
	r := Request{
		Method: "POST", Host: "acme.example.com", Target: "/a?b=c'd",
		Header: map[string][]string{"Cookie": {"a=b"}, "Accept": {"x", "y"}}, Body: []byte("it's\n\"1\""),
	}
	assert.Equal(t, `curl -sS -i --path-as-is -X POST -H 'Accept: x' -H 'Accept: y' -H 'Cookie: a=b' `+
		`--data-binary $'it\'s\n"1"' 'http://acme.example.com/a?b=c'\''d'`, r.Curl())
}

// BenchmarkFind looks through a page of 64 KB in which nothing is, the usual case.
func BenchmarkFind(b *testing.B) {
	c := newCanaries(3)
	s := newScanner(c.words)
	r := rand.New(rand.NewPCG(1, 2))
	var page bytes.Buffer
	for page.Len() < 64<<10 {
		page.WriteString("<li class=\"entry\">")
		for range 8 {
			page.WriteByte(byte('a' + r.IntN(26)))
		}
		page.WriteString("</li>\n")
	}
	b.SetBytes(int64(page.Len()))
	for b.Loop() {
		if len(s.find(page.Bytes())) > 0 {
			b.Fatal("found something")
		}
	}
}
