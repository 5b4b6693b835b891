package postgres

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// appendMessage appends a message of the frontend.
func appendMessage(b []byte, kind byte, parts ...string) []byte {
	size := headerLen - 1
	for _, part := range parts {
		size += len(part)
	}
	b = append(b, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	for _, part := range parts {
		b = append(b, part...)
	}
	return b
}

// appendStatement appends what runs s, without a Sync: Parse, Bind and Execute.
func appendStatement(b []byte, s Statement) []byte {
	b = appendMessage(b, msgParse, "\x00", s.Query, "\x00\x00\x00")
	start := len(b)
	b = append(b, msgBind, 0, 0, 0, 0, 0, 0, 0, 0) // length to come, no names, all arguments as text
	b = binary.BigEndian.AppendUint16(b, uint16(len(s.Args)))
	for _, arg := range s.Args {
		b = binary.BigEndian.AppendUint32(b, uint32(len(arg)))
		b = append(b, arg...)
	}
	b = append(b, 0, 0) // all results as text
	binary.BigEndian.PutUint32(b[start+1:], uint32(len(b)-start-1))
	return append(b, msgExecute, 0, 0, 0, 9, 0, 0, 0, 0, 0)
}

// messageSize returns the size of the message with this header, type included.
func messageSize(header []byte) int { return int(binary.BigEndian.Uint32(header[1:])) + 1 }

// answers counts the messages in b after whose answers the server becomes ready.
func answers(b []byte) int {
	n := 0
	for len(b) >= headerLen {
		if b[0] == msgQuery || b[0] == msgSync {
			n++
		}
		b = b[min(messageSize(b), len(b)):]
	}
	return n
}

// queryText returns the text of a Query message.
func queryText(b []byte) string {
	return strings.TrimSuffix(string(b[headerLen:]), "\x00")
}

// parseText returns the text of a Parse message.
func parseText(b []byte) string {
	_, rest, _ := strings.Cut(string(b[headerLen:messageSize(b)]), "\x00")
	text, _, _ := strings.Cut(rest, "\x00")
	return text
}

// parseError returns the error in the body of an ErrorResponse
// (https://www.postgresql.org/docs/current/protocol-error-fields.html).
func parseError(body []byte) error {
	e := &pq.Error{}
	for field := range strings.SplitSeq(string(body), "\x00") {
		if field == "" {
			continue
		}
		switch text := field[1:]; field[0] {
		case 'S':
			e.Severity = text
		case 'C':
			e.Code = pqerror.Code(text)
		case 'M':
			e.Message = text
		case 'D':
			e.Detail = text
		case 'H':
			e.Hint = text
		}
	}
	return e
}

// idleInTransaction is the SQLSTATE of a session that the server ended since it idled in
// a transaction.
const idleInTransaction = "25P03"

// hasState reports whether an ErrorResponse that begins so has this SQLSTATE.
func hasState(start []byte, state string) bool {
	return bytes.Contains(start, []byte("\x00C"+state+"\x00"))
}

// isEmpty reports whether text is what lib/pq pings with, or less.
func isEmpty(text string) bool { return strings.Trim(text, "; \t\r\n") == "" }

// isBegin reports whether text is what lib/pq begins a transaction with, and nothing
// after it.
func isBegin(text string) bool {
	return (text == "BEGIN" || strings.HasPrefix(text, "BEGIN ")) && strings.IndexByte(text, ';') < 0
}
