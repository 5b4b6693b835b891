package sqlitefile

import (
	"strings"

	"modernc.org/sqlite"
)

// maxVacuumLen is more than any plain VACUUM takes.
const maxVacuumLen = 40

// authorize decides what a statement of a tenant may compile to. SQLite calls it
// on the goroutine that uses c.
func (c *conn) authorize(action sqlite.AuthorizerActionCode, arg1, arg2, _, _ string) sqlite.AuthorizerReturnCode {
	switch action {
	case sqlite.AuthAttach:
		// VACUUM attaches a nameless file of its own. So would ATTACH with an
		// expression, whose value the authorizer does not get to see.
		return allow(c.vacuum && arg1 == "")
	case sqlite.AuthDetach:
		return sqlite.AuthorizerDeny
	case sqlite.AuthPragma:
		return allow(describes(strings.ToLower(arg1)))
	case sqlite.AuthFunction:
		return allow(!reachesOut(strings.ToLower(arg2)))
	default:
		return sqlite.AuthorizerOK
	}
}

// authorizeMigration lets a migration do anything but open other files.
func authorizeMigration(action sqlite.AuthorizerActionCode, _, arg2, _, _ string) sqlite.AuthorizerReturnCode {
	switch action {
	case sqlite.AuthAttach, sqlite.AuthDetach:
		return sqlite.AuthorizerDeny
	case sqlite.AuthFunction:
		return allow(!reachesOut(strings.ToLower(arg2)))
	default:
		return sqlite.AuthorizerOK
	}
}

func allow(ok bool) sqlite.AuthorizerReturnCode {
	if ok {
		return sqlite.AuthorizerOK
	}
	return sqlite.AuthorizerDeny
}

// describes reports a pragma that only tells of the tenant's own tables and file.
// Full-text and R-tree indexes read data_version and page_size themselves.
func describes(pragma string) bool {
	switch pragma {
	case "table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo",
		"foreign_key_list", "foreign_key_check", "integrity_check", "quick_check",
		"collation_list", "function_list", "compile_options",
		"page_count", "page_size", "freelist_count", "data_version":
		return true
	default:
		return false
	}
}

// reachesOut reports a function that runs code from outside SQLite.
func reachesOut(function string) bool {
	return function == "load_extension" || function == "fts3_tokenizer"
}

// isVacuum reports whether query is VACUUM and nothing else.
func isVacuum(query string) bool {
	query = strings.TrimSpace(query)
	if len(query) > maxVacuumLen || len(query) < len("VACUUM") || !strings.EqualFold(query[:len("VACUUM")], "VACUUM") {
		return false
	}
	words := strings.Fields(strings.TrimSuffix(query, ";"))
	return strings.EqualFold(words[0], "VACUUM") &&
		(len(words) == 1 || len(words) == 2 && strings.EqualFold(words[1], "main"))
}
