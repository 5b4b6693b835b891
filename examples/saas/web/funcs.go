package web

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tenancy-go/tenancy/examples/saas/workspace"
)

// funcs are the functions that templates can call.
func (u *UI) funcs() template.FuncMap {
	return template.FuncMap{
		"asset":      u.assets.url,
		"monogram":   monogram,
		"number":     number,
		"plural":     plural,
		"date":       func(t time.Time) string { return t.Format("2 Jan 2006") },
		"iso":        func(t time.Time) string { return t.Format(time.RFC3339) },
		"ago":        func(t time.Time) string { return ago(time.Since(t), t) },
		"paragraphs": paragraphs,
		"add":        func(a, b int) int { return a + b },
		"firstConversations": func(all []workspace.Conversation, n int) []workspace.Conversation {
			return all[:min(n, len(all))]
		},
		"args": args,
	}
}

// monogram returns one or two capitals that stand for a name.
func monogram(name string) string {
	var letters []rune
	for _, word := range strings.Fields(name) {
		if r, _ := utf8.DecodeRuneInString(word); unicode.IsLetter(r) || unicode.IsNumber(r) {
			letters = append(letters, unicode.ToUpper(r))
		}
	}
	if len(letters) == 0 {
		return "•"
	}
	if len(letters) > 2 {
		letters = []rune{letters[0], letters[len(letters)-1]}
	}
	return string(letters)
}

// number writes n with a separator between thousands: 12,345.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural writes "1 word", "2 words".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// ago says how long ago t was.
func ago(d time.Duration, t time.Time) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	case d < 7*24*time.Hour:
		return plural(int(d.Hours())/24, "day") + " ago"
	default:
		return t.Format("2 Jan 2006")
	}
}

// paragraphs splits text at blank lines.
func paragraphs(text string) []string {
	var found []string
	for p := range strings.SplitSeq(text, "\n\n") {
		if p = strings.Trim(p, "\n"); p != "" {
			found = append(found, p)
		}
	}
	return found
}

// args makes a map of names and values, for a template that needs several.
func args(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("args: want names and values in turn, got %d", len(pairs))
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("args: %v is no name", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}
