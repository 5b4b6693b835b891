package archive

import "strings"

// Kind is a column's type as archives have it, whatever database it comes from.
type Kind string

// The kinds. Whatever has no kind of its own is [Other], and travels as the text
// that the database itself reads and writes.
const (
	Bool        Kind = "bool"
	Int         Kind = "int"
	Float       Kind = "float"
	Numeric     Kind = "numeric"
	Text        Kind = "text"
	Bytes       Kind = "bytes"
	Date        Kind = "date"
	Time        Kind = "time"
	Timestamp   Kind = "timestamp"
	TimestampTZ Kind = "timestamptz"
	UUID        Kind = "uuid"
	JSON        Kind = "json"
	Array       Kind = "array"
	Other       Kind = "other"
)

// postgresKind returns the kind of a type of PostgreSQL: by its name in pg_type
// and its category.
func postgresKind(name, category string) Kind {
	switch name {
	case "bool":
		return Bool
	case "int2", "int4", "int8":
		return Int
	case "float4", "float8":
		return Float
	case "numeric":
		return Numeric
	case "text", "varchar", "bpchar", "name", "citext":
		return Text
	case "bytea":
		return Bytes
	case "date":
		return Date
	case "time", "timetz":
		return Time
	case "timestamp":
		return Timestamp
	case "timestamptz":
		return TimestampTZ
	case "uuid":
		return UUID
	case "json", "jsonb":
		return JSON
	}
	switch category {
	case "A":
		return Array
	case "E":
		return Text
	default:
		return Other
	}
}

// sqliteKinds tell the kind of a declared type by a part of it, the first that fits.
var sqliteKinds = []struct {
	part string
	kind Kind
}{
	{"BOOL", Bool},
	{"TIMESTAMP", TimestampTZ},
	{"DATETIME", TimestampTZ},
	{"DATE", Date},
	{"TIME", Time},
	{"UUID", UUID},
	{"JSON", JSON},
	{"NUMERIC", Numeric},
	{"DECIMAL", Numeric},
	{"INT", Int},
	{"CHAR", Text},
	{"CLOB", Text},
	{"TEXT", Text},
	{"BLOB", Bytes},
	{"REAL", Float},
	{"FLOA", Float},
	{"DOUB", Float}, //nolint:misspell // as SQLite looks for DOUBLE
}

// sqliteKind returns the kind of a type as a table of SQLite declares it.
func sqliteKind(declared string) Kind {
	declared = strings.ToUpper(declared)
	for _, k := range sqliteKinds {
		if strings.Contains(declared, k.part) {
			return k.kind
		}
	}
	return Other
}
