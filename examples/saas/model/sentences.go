package model

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// abbreviations end in a full stop that ends no sentence.
var abbreviations = map[string]bool{
	"mr": true, "mrs": true, "ms": true, "dr": true, "prof": true, "st": true, "vs": true, "etc": true,
	"e.g": true, "i.e": true, "cf": true, "no": true, "fig": true, "approx": true, "inc": true, "ltd": true,
	"jan": true, "feb": true, "mar": true, "apr": true, "jun": true, "jul": true, "aug": true, "sep": true,
	"sept": true, "oct": true, "nov": true, "dec": true, "u.s": true, "u.k": true,
}

// sentences splits text at full stops, question and exclamation marks, and at
// line breaks that end a paragraph, a heading or a list item. Each sentence has
// single spaces, and keeps its mark.
func sentences(text string) []string {
	var found []string
	for _, block := range blocks(text) {
		for block != "" {
			end := sentenceEnd(block)
			if s := strings.Join(strings.Fields(block[:end]), " "); s != "" {
				found = append(found, s)
			}
			block = block[end:]
		}
	}
	return found
}

// blocks joins wrapped lines into paragraphs; list items and headings stand alone.
func blocks(text string) []string {
	var found []string
	var open strings.Builder
	flush := func() {
		if open.Len() > 0 {
			found = append(found, open.String())
			open.Reset()
		}
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		item := strings.TrimLeft(line, "-*•#> \t")
		switch {
		case item == "":
			flush()
		case item != line:
			flush()
			found = append(found, item)
		default:
			open.WriteString(line)
			open.WriteByte(' ')
		}
	}
	flush()
	return found
}

// sentenceEnd returns the offset just after the first sentence of s.
func sentenceEnd(s string) int {
	for i, r := range s {
		after := i + utf8.RuneLen(r)
		switch r {
		case '。', '！', '？':
			return after
		case '.', '!', '?', '…':
			if after = skipClosers(s, after); endsHere(s[:i], s[after:], r) {
				return after
			}
		}
	}
	return len(s)
}

// skipClosers moves past further marks, quotes and brackets that belong to the
// sentence that just ended.
func skipClosers(s string, i int) int {
	for i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		if !strings.ContainsRune(`.!?…"')]”’»`, r) {
			break
		}
		i += size
	}
	return i
}

// endsHere reports whether a mark between before and after ends a sentence: a
// space follows, and it is neither an abbreviation nor an initial, nor does the
// text go on in lower case.
func endsHere(before, after string, mark rune) bool {
	next, _ := utf8.DecodeRuneInString(after)
	if after == "" {
		return true
	}
	if !unicode.IsSpace(next) {
		return false
	}
	if mark != '.' {
		return true
	}
	word := strings.ToLower(strings.TrimLeft(before[strings.LastIndexAny(before, " \t(")+1:], `"'“‘[`))
	if abbreviations[word] || utf8.RuneCountInString(word) == 1 {
		return false
	}
	first, _ := utf8.DecodeRuneInString(strings.TrimSpace(after))
	return !unicode.IsLower(first)
}
