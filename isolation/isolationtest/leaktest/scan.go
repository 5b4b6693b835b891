package leaktest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"unicode/utf16"
)

// sighting is a canary found in some data.
type sighting struct {
	owner   int
	canary  string // as far as it was readable: the word at least
	form    string // how it was written: "", "base64", "gzip, hex"
	excerpt string
}

// needle is a way in which a tenant's word may be written.
type needle struct {
	owner int
	form  string
	text  []byte
	fold  bool // upper case counts as well
	// canary reads the canary that begins where the needle was found.
	canary func(from []byte) string
}

// scanner finds the words of all tenants.
type scanner struct{ needles []needle }

func newScanner(words []string) *scanner {
	s := new(scanner)
	for owner, word := range words {
		s.needles = append(s.needles,
			needle{owner: owner, text: []byte(word), fold: true, canary: readPlain},
			needle{owner: owner, form: "hex", text: []byte(hex.EncodeToString([]byte(word))), fold: true, canary: readHex},
			needle{owner: owner, form: "UTF-16", text: wide(word), fold: true, canary: readWide},
		)
		for shift := range 3 {
			s.needles = append(s.needles, needle{
				owner: owner, form: "base64", text: inBase64(word, shift), canary: func(from []byte) string { return readBase64(from, shift) },
			})
		}
	}
	return s
}

// find returns the sightings in data, one for each canary and form.
func (s *scanner) find(data []byte) []sighting {
	var found []sighting
	seen := make(map[string]bool)
	for _, v := range views(data) {
		lower := lowered(v.data)
		for _, n := range s.needles {
			hay := v.data
			if n.fold {
				hay = lower
			}
			for at := 0; ; {
				i := bytes.Index(hay[at:], n.text)
				if i < 0 {
					break
				}
				at += i
				canary := n.canary(hay[at:])
				if !seen[canary] {
					seen[canary] = true
					found = append(found, sighting{owner: n.owner, canary: canary, form: join(v.form, n.form), excerpt: excerpt(v.data, at, len(n.text))})
				}
				at += len(n.text)
			}
		}
	}
	return found
}

// lowered is [bytes.ToLower] for ASCII alone, so that positions stay the same in any data.
func lowered(data []byte) []byte {
	lower := bytes.Clone(data)
	for i, c := range lower {
		if c >= 'A' && c <= 'Z' {
			lower[i] = c + 'a' - 'A'
		}
	}
	return lower
}

func join(forms ...string) string {
	var given []string
	for _, f := range forms {
		if f != "" {
			given = append(given, f)
		}
	}
	return strings.Join(given, ", ")
}

// excerpt returns one line of what is around a finding.
func excerpt(data []byte, at, length int) string {
	const around = 40
	from, to := max(0, at-around), min(len(data), at+length+around)
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r == '\uFFFD' {
			return ' '
		}
		return r
	}, string(data[from:to]))
	return strings.Join(strings.Fields(text), " ")
}

func readPlain(from []byte) string { return string(bytes.ToLower(serialOf(from))) }

// serialOf cuts a canary off at its end, which may be missing.
func serialOf(from []byte) []byte {
	end := min(len(from), canaryBytes)
	for i, c := range from[:end] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return from[:i]
		}
	}
	return from[:end]
}

func readHex(from []byte) string {
	decoded := make([]byte, canaryBytes)
	n, _ := hex.Decode(decoded, from[:min(len(from), 2*canaryBytes)]) // what it could decode
	return readPlain(decoded[:n])
}

func readWide(from []byte) string {
	var narrow []byte
	for i := 0; i < len(from) && i < 2*canaryBytes; i += 2 {
		narrow = append(narrow, from[i])
	}
	return readPlain(narrow)
}

// wide returns word as UTF-16, from its first letter on, so that both byte orders match.
func wide(word string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(word)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return b[:len(b)-1]
}

// lead is how many letters of base64 are shared with the bytes before a word that begins shift bytes
// after a group's begin.
func lead(shift int) int { return (8*shift + 5) / 6 }

// inBase64 returns the letters of base64 that a word determines by itself.
func inBase64(word string, shift int) []byte {
	padded := append(make([]byte, shift), word...)
	all := base64.RawStdEncoding.EncodeToString(padded)
	return []byte(all[lead(shift) : 8*len(padded)/6])
}

func readBase64(from []byte, shift int) string {
	run := append(bytes.Repeat([]byte("A"), lead(shift)), base64Run(from[:min(len(from), 2*canaryBytes)])...)
	decoded := letters(run).decode()
	if len(decoded) <= shift {
		return ""
	}
	// The first byte shares its letter with what came before. Every word begins alike.
	return readPlain(append([]byte("c"), decoded[shift+1:]...))
}
