package inspect

import (
	_ "embed" // for the SQL below
	"fmt"
	"slices"
	"strings"
)

// Lint is something that Run looks for.
type Lint struct {
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	Title    string   `json:"title"`
	Why      string   `json:"why"` // what an attacker or a slip makes of it

	kinds     kind   // the strategies that it is for
	injection bool   // only with the option Injection
	since     int    // the first server_version_num that has what query asks for
	query     string // columns object, detail and remedy, over the common tables of sql/
}

// Lints returns all that Run looks for, in the order of its files.
func Lints() []Lint {
	return slices.Concat(roleLints(), tableLints(), policyLints(), keyLints(), reachLints(), privilegeLints(), serverLints(),
		schemaLints(), databaseLints(), injectionLints())
}

// The common tables, which the queries of lints read.
var (
	//go:embed sql/base.sql
	baseTables string
	//go:embed sql/roles.sql
	roleTables string
	//go:embed sql/rows.sql
	rowsTables string
	//go:embed sql/schemas.sql
	schemasTables string
	//go:embed sql/databases.sql
	databasesTables string
)

// common returns the common tables of k.
func common(k kind) string {
	switch k {
	case rows:
		return baseTables + rowsTables + roleTables
	case schemas:
		return baseTables + schemasTables + roleTables
	default:
		return baseTables + databasesTables + roleTables
	}
}

// applicable returns the lints for k that a server of this version can answer.
func applicable(k kind, injection bool, version int) []Lint {
	return slices.DeleteFunc(Lints(), func(l Lint) bool {
		return l.kinds&k == 0 || l.injection && !injection || l.since > version
	})
}

// statement asks for the findings of all lints at once.
func statement(k kind, lints []Lint) string {
	parts := make([]string, len(lints))
	for i, l := range lints {
		parts[i] = fmt.Sprintf("SELECT '%s' AS lint, q.object::text, q.detail::text, q.remedy::text FROM (\n%s\n) AS q (object, detail, remedy)", l.ID, l.query)
	}
	return common(k) + strings.Join(parts, "\nUNION ALL\n")
}
