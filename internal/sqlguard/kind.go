package sqlguard

import "strings"

// IsPlain reports whether every statement in query, of PostgreSQL, only reads or
// changes rows, so that none of them ends a transaction: not even CALL, whose
// procedure may. A text without a statement is not plain.
func IsPlain(query string) bool { return everyBegins(query, plainKeyword) }

// IsQuery reports whether every statement in query, of PostgreSQL, is one that reads
// rows, unless a function that it calls does more. WITH may change rows.
func IsQuery(query string) bool { return everyBegins(query, queryKeyword) }

// everyBegins reports whether there are statements in query, and each begins with a word
// that fits.
func everyBegins(query string, fits func(word string) bool) bool {
	lex := lexer{src: query, dialect: postgres}
	all, begins := false, true
	for !lex.done() {
		start := lex.pos
		switch kind := lex.next(); {
		case kind == semicolon:
			begins = true
		case kind == space || kind == bracket || !begins:
		case kind == word && fits(lex.src[start:lex.pos]):
			all, begins = true, false
			if strings.IndexByte(lex.src[lex.pos:], ';') < 0 {
				return true // nothing more can begin
			}
		default:
			return false
		}
	}
	return all
}

// plainKeyword reports whether s begins a statement that IsPlain is true of.
func plainKeyword(s string) bool {
	switch len(s) {
	case len("WITH"):
		return strings.EqualFold(s, "WITH")
	case len("MERGE"):
		return queryKeyword(s) || strings.EqualFold(s, "MERGE")
	case len("INSERT"):
		return queryKeyword(s) || strings.EqualFold(s, "INSERT") || strings.EqualFold(s, "UPDATE") || strings.EqualFold(s, "DELETE")
	default:
		return false
	}
}

// queryKeyword reports whether s begins a statement that IsQuery is true of.
func queryKeyword(s string) bool {
	return strings.EqualFold(s, "SELECT") || strings.EqualFold(s, "VALUES") || strings.EqualFold(s, "TABLE")
}

// IsConstant reports whether query, of PostgreSQL, holds nothing but keywords, names,
// operators, parameters and numbers after LIMIT, OFFSET, FIRST or NEXT: no literal and
// no comment, in which a value could stand. So its text is its author's alone.
func IsConstant(query string) bool {
	lex := lexer{src: query, dialect: postgres}
	before := "" // the last word
	for !lex.done() {
		start := lex.pos
		kind := lex.next()
		token := lex.src[start:lex.pos]
		switch {
		case kind != quotedName && strings.IndexByte(token, '\'') >= 0:
			return false // with a prefix such as E, too
		case kind == word:
			before = token
		case kind == space && !isSpace(token[0]):
			return false // a comment
		case kind != other:
		case token[0] == '$' && len(token) > 1:
			return false
		case token[0] == '$':
			lex.digits()
		case token[0] >= '0' && token[0] <= '9':
			if !countKeyword(before) {
				return false
			}
			lex.digits()
			before = ""
		}
	}
	return true
}

// countKeyword reports whether a number of rows follows s.
func countKeyword(s string) bool {
	for _, keyword := range []string{"LIMIT", "OFFSET", "FIRST", "NEXT"} {
		if strings.EqualFold(s, keyword) {
			return true
		}
	}
	return false
}

func (l *lexer) digits() {
	for !l.done() && l.src[l.pos] >= '0' && l.src[l.pos] <= '9' {
		l.pos++
	}
}

// IsProcedural reports whether a statement in query, of PostgreSQL, is CALL or DO: what
// it runs may end the transaction that it began in, and go on in the next.
func IsProcedural(query string) bool {
	lex := lexer{src: query, dialect: postgres}
	begins := true
	for !lex.done() {
		start := lex.pos
		switch kind := lex.next(); kind {
		case semicolon:
			begins = true
		case space, bracket:
		default:
			word := lex.src[start:lex.pos]
			if begins && (strings.EqualFold(word, "CALL") || strings.EqualFold(word, "DO")) {
				return true
			}
			begins = false
			if strings.IndexByte(lex.src[lex.pos:], ';') < 0 {
				return false // nothing more can begin
			}
		}
	}
	return false
}
