package sqlguard

import "strings"

// maxWords is how many leading words of a statement are looked at.
const maxWords = 4

// byteOrderMark is white space to SQLite, where a token may begin.
const byteOrderMark = "\ufeff"

type dialect uint8

const (
	postgres dialect = iota
	sqlite
)

// lexer splits SQL text into statements. It follows the flex rules of
// PostgreSQL's scan.l with standard_conforming_strings on, or SQLite's
// tokenize.c.
type lexer struct {
	src     string
	pos     int
	dialect dialect
}

func (l *lexer) done() bool { return l.pos >= len(l.src) }

// statement appends the leading words of the next statement to words, in upper
// case, and moves behind it. There are none if the first is no control keyword.
// A word is a run of letters, digits and underscores; dots and parentheses
// between words are passed over, and any other token ends the list. A quoted name
// is a word too, as SQLite takes one for a pragma's.
func (l *lexer) statement(words []string) []string {
	collecting := true
	for !l.done() {
		start := l.pos
		switch kind := l.next(); {
		case kind == semicolon:
			return words
		case kind == space || kind == bracket || !collecting:
		case kind == word && len(words) == 0:
			keyword := controlKeyword(l.src[start:l.pos])
			if collecting = keyword != ""; collecting {
				words = append(words, keyword)
			}
		case kind == word && len(words) < maxWords:
			words = append(words, strings.ToUpper(l.src[start:l.pos]))
		case kind == quotedName && len(words) > 0 && len(words) < maxWords:
			words = append(words, strings.ToUpper(strings.Trim(l.src[start:l.pos], "\"`[]")))
		default:
			collecting = false
		}
		if !collecting && strings.IndexByte(l.src[l.pos:], ';') < 0 {
			l.pos = len(l.src) // nothing more can begin
		}
	}
	return words
}

// controlKeywords are the first words that a verdict may refuse, in either
// dialect, with themselves as values so that a lookup yields a string to keep.
var controlKeywords = map[string]string{
	"ABORT": "ABORT", "ALTER": "ALTER", "ATTACH": "ATTACH", "BEGIN": "BEGIN", "COMMIT": "COMMIT",
	"CREATE": "CREATE", "DO": "DO", "DROP": "DROP", "GRANT": "GRANT", "REASSIGN": "REASSIGN", "REVOKE": "REVOKE",
	"DEALLOCATE": "DEALLOCATE", "DECLARE": "DECLARE", "DETACH": "DETACH", "DISCARD": "DISCARD",
	"END": "END", "EXECUTE": "EXECUTE", "LISTEN": "LISTEN", "LOAD": "LOAD", "PRAGMA": "PRAGMA",
	"PREPARE": "PREPARE", "RELEASE": "RELEASE", "RESET": "RESET", "ROLLBACK": "ROLLBACK",
	"SAVEPOINT": "SAVEPOINT", "SET": "SET", "START": "START", "UNLISTEN": "UNLISTEN",
}

// controlKeyword returns s in upper case if it is one of controlKeywords, else
// "". It does not allocate.
func controlKeyword(s string) string {
	var buf [len("DEALLOCATE")]byte
	if len(s) > len(buf) {
		return ""
	}
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		buf[i] = c
	}
	return controlKeywords[string(buf[:len(s)])]
}

type kind uint8

const (
	other      kind = iota
	space           // white space or a comment
	word            // keyword or name
	quotedName      // a name in double quotes, backquotes or brackets
	bracket         // dot or parenthesis
	semicolon
)

// next moves behind the next token, or to the end within an open one.
func (l *lexer) next() kind {
	c := l.src[l.pos]
	switch {
	case isSpace(c):
		l.pos++
		return space
	case c == ';':
		l.pos++
		return semicolon
	case c == '.' || c == '(' || c == ')':
		l.pos++
		return bracket
	case l.dialect == sqlite && strings.HasPrefix(l.src[l.pos:], byteOrderMark):
		l.pos += len(byteOrderMark)
		return space
	case c == '-' && l.at(1) == '-':
		l.lineComment()
		return space
	case c == '/' && l.at(1) == '*':
		l.blockComment()
		return space
	case c == '\'':
		l.pos++
		l.quoted('\'', false)
		return other
	case c == '"':
		l.pos++
		l.quoted('"', false)
		return quotedName
	case isWordStart(c):
		return l.word()
	default:
		return l.special(c)
	}
}

// special handles what only one of the dialects knows.
func (l *lexer) special(c byte) kind {
	switch {
	case l.dialect == sqlite && c == '`':
		l.pos++
		l.quoted('`', false)
		return quotedName
	case l.dialect == sqlite && c == '[':
		l.skipTo("]")
		return quotedName
	case l.dialect == sqlite && strings.IndexByte("$@:#", c) >= 0:
		l.variable()
		return other
	case l.dialect == postgres && c == '$':
		l.dollarQuoted()
		return other
	default:
		l.pos++
		return other
	}
}

// at returns the byte n places ahead, or 0.
func (l *lexer) at(n int) byte {
	if l.pos+n < len(l.src) {
		return l.src[l.pos+n]
	}
	return 0
}

// skipTo moves behind the next end, or to the end of the text.
func (l *lexer) skipTo(end string) {
	if i := strings.Index(l.src[l.pos:], end); i >= 0 {
		l.pos += i + len(end)
		return
	}
	l.pos = len(l.src)
}

func (l *lexer) lineComment() {
	ends := "\n"
	if l.dialect == postgres {
		ends = "\n\r"
	}
	if i := strings.IndexAny(l.src[l.pos:], ends); i >= 0 {
		l.pos += i
		return
	}
	l.pos = len(l.src)
}

// blockComment skips a comment, which nests in PostgreSQL only.
func (l *lexer) blockComment() {
	l.pos += 2
	if l.dialect == sqlite {
		l.skipTo("*/")
		return
	}
	for depth := 1; depth > 0 && !l.done(); {
		switch {
		case l.src[l.pos] == '/' && l.at(1) == '*':
			depth++
			l.pos += 2
		case l.src[l.pos] == '*' && l.at(1) == '/':
			depth--
			l.pos += 2
		default:
			l.pos++
		}
	}
}

// quoted moves behind the closing quote; a doubled quote is part of the text,
// and so is one behind a backslash if escapes is set.
func (l *lexer) quoted(quote byte, escapes bool) {
	for !l.done() {
		switch c := l.src[l.pos]; {
		case c == '\\' && escapes:
			l.pos += 2
		case c == quote && l.at(1) == quote:
			l.pos += 2
		case c == quote:
			l.pos++
			return
		default:
			l.pos++
		}
	}
	l.pos = len(l.src)
}

// word skips a keyword or name, and the string that PostgreSQL's E prefix begins.
func (l *lexer) word() kind {
	start := l.pos
	for !l.done() && isWordPart(l.src[l.pos]) {
		l.pos++
	}
	if l.dialect == postgres && l.pos-start == 1 && l.src[start]|0x20 == 'e' && l.at(0) == '\'' {
		l.pos++
		l.escapeString()
		return other
	}
	return word
}

// escapeString skips the rest of an E” string with its continuations: further
// quoted parts after white space with a newline in it keep the escapes.
func (l *lexer) escapeString() {
	for {
		l.quoted('\'', true)
		next := *l
		if !next.continues() {
			return
		}
		*l = next
		l.pos++
	}
}

// continues moves to a continuing quote and reports whether there is one.
func (l *lexer) continues() bool {
	newline := false
	for !l.done() {
		switch c := l.src[l.pos]; {
		case isSpace(c):
			newline = newline || c == '\n' || c == '\r'
			l.pos++
		case c == '-' && l.at(1) == '-':
			l.lineComment()
		default:
			return newline && c == '\''
		}
	}
	return false
}

// variable skips SQLite's $name, @name, :name and #name, with the suffix of Tcl's
// arrays: anything but white space between parentheses.
func (l *lexer) variable() {
	for n := 0; ; n++ {
		l.pos++
		switch c := l.at(0); {
		case isWordPart(c):
		case c == ':' && l.at(1) == ':':
			l.pos++
		case c == '(' && n > 0:
			for l.pos++; !l.done() && !isSpace(l.src[l.pos]) && l.src[l.pos] != ')'; l.pos++ {
			}
			if l.at(0) == ')' {
				l.pos++
			}
			return
		default:
			return
		}
	}
}

// dollarQuoted skips $tag$ … $tag$, or a lone dollar sign such as $1's.
func (l *lexer) dollarQuoted() {
	end := l.pos + 1
	for end < len(l.src) && isTagPart(l.src[end], end == l.pos+1) {
		end++
	}
	if end >= len(l.src) || l.src[end] != '$' {
		l.pos++
		return
	}
	tag := l.src[l.pos : end+1]
	l.pos = end + 1
	l.skipTo(tag)
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isWordStart(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80
}

// isWordPart includes the dollar sign, as both dialects do inside a name.
func isWordPart(c byte) bool { return isWordStart(c) || c >= '0' && c <= '9' || c == '$' }

func isTagPart(c byte, first bool) bool {
	return isWordStart(c) || !first && c >= '0' && c <= '9'
}
