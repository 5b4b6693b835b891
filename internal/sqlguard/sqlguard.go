package sqlguard

import (
	"fmt"
	"strings"
)

// Error is a statement that controls the session or the transaction.
type Error struct {
	Statement string // its leading words, such as "SET" or "ROLLBACK"
	Remedy    string // what to use instead
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Statement, e.Remedy) }

const (
	useBeginTx    = "use BeginTx, Commit and Rollback of database/sql"
	useInTx       = "savepoints need a transaction begun by BeginTx"
	useOwn        = "the pool owns the session; use a connection of your own"
	useSetLocal   = "the pool owns the session; only timeouts and the like may be set, with SET LOCAL"
	useDriver     = "use Prepare of database/sql"
	useAdmin      = "roles and rights are the administrator's; use a connection of your own"
	useFunction   = "what it runs cannot be seen; make it a function in a migration"
	useRows       = "read the rows as they come; cursors outlive their tenant"
	useMigration  = "pragmas belong to the pool; only those that describe tables may be read"
	maxWordsInErr = 3
)

// Postgres returns an [*Error] if one of query's statements controls the session
// or the transaction of a PostgreSQL connection. inTx tells that the connection
// is in a transaction, where savepoints may be used.
func Postgres(query string, inTx bool) error {
	return check(query, inTx, postgres)
}

// SQLite is [Postgres] for SQLite.
func SQLite(query string, inTx bool) error {
	return check(query, inTx, sqlite)
}

// check judges each statement in query by its leading words.
func check(query string, inTx bool, d dialect) error {
	lex := lexer{src: query, dialect: d}
	var buf [maxWords]string
	for !lex.done() {
		words := lex.statement(buf[:0])
		if len(words) == 0 {
			continue
		}
		if err := judge(words, inTx, d); err != nil {
			err.Statement = strings.Join(words[:min(len(words), maxWordsInErr)], " ")
			return err
		}
	}
	return nil
}

func judge(words []string, inTx bool, d dialect) *Error {
	if d == sqlite {
		return checkSQLite(words, inTx)
	}
	return checkPostgres(words, inTx)
}

func checkPostgres(words []string, inTx bool) *Error {
	switch words[0] {
	case "BEGIN", "START", "COMMIT", "END", "ABORT":
		return &Error{Remedy: useBeginTx}
	case "ROLLBACK", "SAVEPOINT", "RELEASE":
		return checkSavepoint(words, inTx)
	case "SET":
		return checkSet(words)
	case "RESET", "DISCARD", "LISTEN", "UNLISTEN", "LOAD":
		return &Error{Remedy: useOwn}
	case "PREPARE", "EXECUTE", "DEALLOCATE":
		return &Error{Remedy: useDriver}
	case "DECLARE":
		return &Error{Remedy: useRows}
	case "ALTER", "CREATE", "DROP":
		return checkRoles(words)
	case "GRANT", "REVOKE", "REASSIGN":
		return &Error{Remedy: useAdmin}
	case "DO":
		return &Error{Remedy: useFunction}
	default:
		return nil
	}
}

// checkRoles refuses what changes roles, the database or the server. A role may
// change its own password and settings, which all tenants log in with.
func checkRoles(words []string) *Error {
	if len(words) < 2 {
		return nil
	}
	switch words[1] {
	case "ROLE", "USER", "GROUP", "SYSTEM", "DATABASE", "OWNED":
		return &Error{Remedy: useAdmin}
	default:
		return nil
	}
}

// checkSavepoint allows savepoints, and a rollback to one, in a transaction.
func checkSavepoint(words []string, inTx bool) *Error {
	if words[0] == "ROLLBACK" && !rollsBackTo(words) {
		return &Error{Remedy: useBeginTx}
	}
	if !inTx {
		return &Error{Remedy: useInTx}
	}
	return nil
}

// rollsBackTo reports ROLLBACK [WORK | TRANSACTION] TO ….
func rollsBackTo(words []string) bool {
	rest := words[1:]
	if len(rest) > 0 && (rest[0] == "WORK" || rest[0] == "TRANSACTION") {
		rest = rest[1:]
	}
	return len(rest) > 0 && rest[0] == "TO"
}

// checkSet allows SET CONSTRAINTS and SET TRANSACTION, which end with their
// transaction, and SET LOCAL of settings that no isolation rests on.
func checkSet(words []string) *Error {
	if len(words) > 1 && (words[1] == "CONSTRAINTS" || words[1] == "TRANSACTION") {
		return nil
	}
	if len(words) > 2 && words[1] == "LOCAL" && isHarmlessSetting(words[2]) {
		return nil
	}
	return &Error{Remedy: useSetLocal}
}

func isHarmlessSetting(name string) bool {
	switch name {
	case "STATEMENT_TIMEOUT", "LOCK_TIMEOUT", "IDLE_IN_TRANSACTION_SESSION_TIMEOUT", "WORK_MEM",
		"SYNCHRONOUS_COMMIT", "JIT", "PLAN_CACHE_MODE":
		return true
	default:
		return false
	}
}

func checkSQLite(words []string, inTx bool) *Error {
	switch words[0] {
	case "BEGIN", "COMMIT", "END":
		return &Error{Remedy: useBeginTx}
	case "ROLLBACK", "SAVEPOINT", "RELEASE":
		return checkSavepoint(words, inTx)
	case "ATTACH", "DETACH":
		return &Error{Remedy: useOwn}
	case "PRAGMA":
		return checkPragma(words)
	default:
		return nil
	}
}

// checkPragma allows pragmas that only describe tables, in whichever form. The
// words after PRAGMA are its schema, if any, and its name.
func checkPragma(words []string) *Error {
	for _, name := range words[1:] {
		switch name {
		case "TABLE_INFO", "TABLE_XINFO", "TABLE_LIST", "INDEX_LIST", "INDEX_INFO", "INDEX_XINFO",
			"FOREIGN_KEY_LIST", "FOREIGN_KEY_CHECK", "INTEGRITY_CHECK", "QUICK_CHECK":
			return nil
		case "MAIN", "TEMP":
		default:
			return &Error{Remedy: useMigration}
		}
	}
	return &Error{Remedy: useMigration}
}
