package sqlguard

// PostgresTransaction returns the statement in query that begins or ends a
// transaction, or "". Savepoints do neither.
func PostgresTransaction(query string) string { return transaction(query, postgres) }

// SQLiteTransaction is [PostgresTransaction] for SQLite.
func SQLiteTransaction(query string) string { return transaction(query, sqlite) }

func transaction(query string, d dialect) string {
	lex := lexer{src: query, dialect: d}
	var buf [maxWords]string
	body := false // of a trigger or of a function in standard SQL, which END closes
	for !lex.done() {
		words := lex.statement(buf[:0])
		if len(words) == 0 {
			continue
		}
		switch words[0] {
		case "CREATE":
			body = true
		case "END":
			if !body {
				return words[0]
			}
			body = false
		case "BEGIN", "START", "COMMIT", "ABORT":
			return words[0]
		case "ROLLBACK":
			if !rollsBackTo(words) {
				return words[0]
			}
		}
	}
	return ""
}
