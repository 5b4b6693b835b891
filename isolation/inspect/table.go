package inspect

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// width is what a terminal or a build's log shows without breaking lines.
const width = 100

// WriteTable writes the report for people: the worst findings first, then what
// was suppressed and why, then the summary. SQL is wrapped between words, and each
// line of a comment begins as one; WriteJSON has it verbatim.
func (r *Report) WriteTable(w io.Writer) error {
	t := table{w: bufio.NewWriter(w)}
	for _, f := range r.Findings {
		t.head(f.Severity.String(), f.Lint, f.Object)
		t.field("what", what(f))
		t.field("why", f.Why)
		t.remedy(f.Remedy)
	}
	for _, s := range r.Suppressed {
		t.head("accepted", s.Lint, s.Object)
		t.field("what", what(s.Finding))
		t.field("reason", s.Reason)
	}
	for _, s := range r.Unused {
		t.head("unused", s.Lint, s.Object)
		t.field("reason", s.Reason)
	}
	t.line("", r.Summary())
	return t.w.Flush()
}

func what(f Finding) string {
	if f.Detail == "" {
		return f.Title
	}
	return f.Title + ": " + f.Detail
}

// table writes blocks of lines. Errors show when the buffer is flushed.
type table struct{ w *bufio.Writer }

func (t table) head(word, lint, object string) {
	t.line(fmt.Sprintf("%-9s ", word), lint+": "+object)
}

// field writes a value beside its name, wrapped.
func (t table) field(name, value string) {
	if value != "" {
		t.line(fmt.Sprintf("  %-7s ", name), value)
	}
}

// remedy writes SQL, and the comment at its end.
func (t table) remedy(sql string) {
	const name, more = "  mend    ", "          -- "
	comment := ""
	if i := comments(sql); i >= 0 {
		sql, comment = strings.TrimSpace(sql[:i]), sql[i+2:]
	}
	prefix := name
	if sql != "" {
		t.line(prefix, sql)
		prefix = more[:len(name)]
	}
	if comment == "" {
		return
	}
	for _, line := range wrap(clean(comment), width-len(more)) {
		fmt.Fprintf(t.w, "%s-- %s\n", prefix, line)
		prefix = more[:len(name)]
	}
}

// comments returns where a comment begins, or -1.
func comments(sql string) int {
	found := -1
	scan(sql, func(i int, _ byte) bool {
		if strings.HasPrefix(sql[i:], "--") {
			found = i
		}
		return found < 0
	})
	return found
}

// line writes text with a prefix before the first line and as much space before
// the others.
func (t table) line(prefix, text string) {
	for _, line := range wrap(clean(text), width-len(prefix)) {
		fmt.Fprintf(t.w, "%s%s\n", prefix, line)
		prefix = strings.Repeat(" ", len(prefix))
	}
}

// clean keeps names and expressions from the catalog from steering a terminal.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, text)
}

// wrap breaks text between words into lines of at most n characters. A word that
// is longer has a line of its own.
func wrap(text string, n int) []string {
	var lines []string
	line, used := "", 0
	for word := range strings.FieldsSeq(text) {
		size := utf8.RuneCountInString(word)
		switch {
		case used == 0:
			line, used = word, size
		case used+1+size <= n:
			line, used = line+" "+word, used+1+size
		default:
			lines = append(lines, line)
			line, used = word, size
		}
	}
	return append(lines, line)
}
