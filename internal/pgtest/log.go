package pgtest

import (
	"os"
	"slices"
	"strings"
)

// logLines is how much of a server's log a failed test shows.
const logLines = 30

// logSince returns the log from offset on.
func (i *instance) logSince(offset int64) string {
	text, err := os.ReadFile(i.logPath())
	if err != nil || offset > int64(len(text)) {
		return ""
	}
	return string(text[offset:])
}

// logOf returns the last lines that the log has about database, or about any
// when database is empty.
func (i *instance) logOf(database string) string {
	lines := strings.Split(strings.TrimSpace(i.logSince(0)), "\n")
	if database != "" {
		lines = about(lines, "["+database+"]")
	}
	return strings.Join(lines[max(0, len(lines)-logLines):], "\n")
}

// about keeps the entries whose first line has mark. An entry's further lines
// start with a tab.
func about(lines []string, mark string) []string {
	keep := false
	return slices.DeleteFunc(lines, func(line string) bool {
		if !strings.HasPrefix(line, "\t") {
			keep = strings.Contains(line, mark)
		}
		return !keep
	})
}
