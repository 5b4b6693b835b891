package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// scripted is a server that has said all it will say, and notes what it is told.
type scripted struct {
	net.Conn
	io.Reader
	told bytes.Buffer
}

func (s *scripted) Read(b []byte) (int, error)  { return s.Reader.Read(b) }
func (s *scripted) Write(b []byte) (int, error) { return s.told.Write(b) }

func message(kind byte, body string) string {
	return string(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4))) + body
}

// started returns a wire whose server has become ready, and says answers next.
func started(answers string) (*wire, *scripted) {
	server := &scripted{Reader: bytes.NewReader([]byte(answers))}
	w := newWire(server)
	w.started, w.status = true, txIdle
	return w, server
}

var (
	ready   = message(msgReady, "I")
	entered = message(msgParseComplete, "") + message(msgBindComplete, "") + message(msgDataRow, "\x00\x01\x00\x00\x00\x00") + message(msgComplete, "SELECT 1\x00")
	refusal = message(msgError, "SERROR\x00C42501\x00Mno\x00\x00")
)

// statement is one as lib/pq sends it.
func statement(query string) []byte {
	return appendMessage(appendStatement(nil, Statement{Query: query}), msgSync)
}

func read(t *testing.T, w *wire) string {
	t.Helper()
	b, err := io.ReadAll(w)
	require.NoError(t, err)
	return string(b)
}

// TestAStandbyIsLeftAlone: to ask it for a transaction that writes is an error.
func TestAStandbyIsLeftAlone(t *testing.T) {
	t.Parallel()
	setting := func(name, value string) string { return message(msgSetting, name+"\x00"+value+"\x00") }
	for standby, asked := range map[string]bool{"on": false, "off": true} {
		for _, local := range []bool{false, true} {
			w, server := started(setting("default_transaction_read_only", "on") + ready)
			w.started, w.readOnly = false, readOnly{}
			w.readOnly.note([]byte("default_transaction_read_only\x00off\x00"), false)
			w.readOnly.note([]byte("in_hot_standby\x00"+standby+"\x00"), false)
			w.started = true
			read(t, w) // somebody's SQL turned it on
			server.Reader = bytes.NewReader([]byte(entered + entered + ready))
			w.entry.set(Entry{Local: local, Statements: []Statement{{Query: "enter"}}}, false)
			_, err := w.Write(statement("SELECT 1"))
			require.NoError(t, err)
			assert.Equal(t, asked, bytes.Contains(server.told.Bytes(), []byte(mayWrite[0].Query)), "standby %s, local %t", standby, local)
		}
	}
}

func TestAnswersToEntriesAreTakenOut(t *testing.T) {
	t.Parallel()
	own := message(msgParseComplete, "") + message(msgBindComplete, "") + message(msgComplete, "SELECT 0\x00")
	notice := message('N', "a notice")
	begun := message(msgParseComplete, "") + message(msgBindComplete, "") + message(msgComplete, "BEGIN\x00")
	inTx := message(msgReady, "T")
	tests := []struct {
		name          string
		send          []byte
		local         bool
		answers, want string
		pending       bool // the entry goes before the next statement, too
		failed        bool
	}{
		{name: "statement", send: statement("SELECT 1"), answers: entered + own + ready, want: own + ready},
		{name: "notices pass", send: statement("SELECT 1"), answers: notice + entered + own + ready, want: notice + own + ready},
		{name: "failed statement", send: statement("SELECT 1"), answers: entered + refusal + ready, want: refusal + ready, pending: true},
		{name: "failed entry", send: statement("SELECT 1"), answers: refusal + ready, want: refusal + ready, pending: true, failed: true},
		{name: "simple query", send: appendMessage(nil, msgQuery, "SELECT 1\x00"), answers: entered + message(msgComplete, "SELECT 1\x00") + ready,
			want: message(msgComplete, "SELECT 1\x00") + ready},
		{name: "simple query that fails", send: appendMessage(nil, msgQuery, "SELECT 1/0\x00"), answers: entered + refusal + ready, want: refusal + ready, pending: true},
		{name: "begin", send: appendMessage(nil, msgQuery, "BEGIN READ WRITE\x00"), answers: entered + ready + message(msgComplete, "BEGIN\x00") + inTx,
			want: message(msgComplete, "BEGIN\x00") + inTx},
		{name: "local", send: statement("SELECT 1"), local: true, answers: entered + own + ready, want: own + ready, pending: true},
		{name: "local begin", send: appendMessage(nil, msgQuery, "BEGIN READ WRITE\x00"), local: true, answers: begun + entered + inTx,
			want: message(msgComplete, "BEGIN\x00") + inTx, pending: true},
		{name: "local begin whose entry fails", send: appendMessage(nil, msgQuery, "BEGIN\x00"), local: true, answers: begun + refusal + message(msgReady, "E"),
			want: message(msgComplete, "BEGIN\x00") + refusal + message(msgReady, "E"), pending: true, failed: true},
		{name: "a transaction that stays open", send: statement("SELECT 1"), answers: entered + own + inTx, want: own + inTx, pending: true},
		{name: "ping", send: appendMessage(nil, msgQuery, ";\x00"), answers: message(msgNothing, "") + ready, want: message(msgNothing, "") + ready, pending: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, server := started(tt.answers)
			w.entry.set(Entry{Local: tt.local, Statements: []Statement{{Query: "enter"}}}, false)
			_, err := w.Write(tt.send)
			require.NoError(t, err)
			flight := server.told.String()
			assert.Equal(t, tt.want, read(t, w))
			assert.Equal(t, tt.pending, w.entry.pending)
			assert.Equal(t, tt.failed, w.entryFailure(errors.New("reported")) != nil)
			assert.Zero(t, w.asked)
			assert.Equal(t, tt.name != "ping", bytes.Contains([]byte(flight), []byte("enter")))
		})
	}
}

// TestEntryIsSettledBeforeWhatMayUndoIt holds that nothing that might end the
// transaction is sent before the entry holds.
func TestEntryIsSettledBeforeWhatMayUndoIt(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"CALL p()", "SELECT 1; ROLLBACK; SELECT 2", "begin", "/* SELECT */ VACUUM", "BEGIN READ WRITE; ROLLBACK; SELECT 1"} {
		w, server := started(entered + ready)
		w.entry.set(Entry{Statements: []Statement{{Query: "enter"}}}, false)
		_, err := w.Write(appendMessage(nil, msgQuery, query, "\x00"))
		require.NoError(t, err)
		assert.False(t, w.entry.pending)
		told := server.told.Bytes()
		sync, sent := bytes.Index(told, []byte("S\x00\x00\x00\x04")), bytes.Index(told, []byte(query))
		assert.Less(t, sync, sent, query)

		w, server = started(refusal + ready)
		w.entry.set(Entry{Statements: []Statement{{Query: "enter"}}}, false)
		n, err := w.Write(appendMessage(nil, msgQuery, query, "\x00"))
		require.ErrorContains(t, err, "no")
		assert.Zero(t, n)
		assert.NotContains(t, server.told.String(), query, "it is not sent at all")
		assert.ErrorContains(t, w.entryFailure(err), "no")
	}
}

// TestSimpleQueryAfterAFailedEntryIsSkipped: the server waits for a Sync then.
func TestSimpleQueryAfterAFailedEntryIsSkipped(t *testing.T) {
	t.Parallel()
	w, server := started(refusal + ready)
	w.entry.set(Entry{Local: true, Statements: []Statement{{Query: "enter"}}}, false)
	_, err := w.Write(appendMessage(nil, msgQuery, "SELECT 1\x00"))
	require.NoError(t, err)
	server.told.Reset()
	assert.Equal(t, refusal+ready, read(t, w))
	assert.Equal(t, "S\x00\x00\x00\x04", server.told.String())
}

// FuzzWire has a server say anything: what is not an answer to an entry reaches
// lib/pq byte for byte.
func FuzzWire(f *testing.F) {
	f.Add([]byte(entered+ready), true, false)
	f.Add([]byte(refusal+ready), true, true)
	f.Add([]byte("Ecould not fork new process"), false, false)
	f.Add([]byte{'Z', 0, 0, 0, 0}, true, false)
	f.Add([]byte{'D', 0xff, 0xff, 0xff, 0xff, 1}, true, true)
	f.Fuzz(func(t *testing.T, answers []byte, enter, simple bool) {
		w, _ := started(string(answers))
		if enter {
			w.entry.set(Entry{Local: simple, Statements: []Statement{{Query: "enter"}}}, false)
		}
		send := statement("SELECT 1")
		if simple {
			send = appendMessage(nil, msgQuery, "SELECT 1\x00")
		}
		if _, err := w.Write(send); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(w)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
		if !enter && err == nil && !bytes.Equal(answers, got) {
			t.Fatalf("%q became %q", answers, got)
		}
		if len(got) > len(answers) {
			t.Fatalf("%q became more: %q", answers, got)
		}
	})
}
