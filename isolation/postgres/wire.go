package postgres

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"slices"

	"github.com/tenancy-go/tenancy/internal/sqlguard"
)

// Messages of the frontend and the backend, by their first byte
// (https://www.postgresql.org/docs/current/protocol-message-formats.html).
const (
	msgParse, msgBind, msgDescribe, msgExecute, msgSync, msgQuery = 'P', 'B', 'D', 'E', 'S', 'Q'

	msgParseComplete, msgBindComplete, msgNoData           = '1', '2', 'n'
	msgRowDescription, msgDataRow, msgComplete, msgNothing = 'T', 'D', 'C', 'I'
	msgError, msgReady, msgSetting                         = 'E', 'Z', 'S'

	msgCopyData, msgCopyDone, msgCopyFail = 'd', 'c', 'f'
)

const (
	headerLen    = 5 // type and length
	readyLen     = headerLen + 1
	wireReadSize = 8 << 10
	maxMessage   = 1 << 30 // what PostgreSQL sends at most, about
	maxEarly     = 1 << 20 // in answer to an entry
	maxSetting   = 256     // of one that is looked at
	errorStart   = 128     // has the SQLSTATE, before the text
)

// wire is the stream of messages below one of lib/pq's connections. It sends an
// entry in front of lib/pq's own messages, in the same write, and takes the answers
// to it out of what lib/pq reads: so a session is given to a tenant without a round
// trip.
//
// Entry and statement share one implicit transaction, since no Sync stands between
// them: when the entry fails, the server skips the statement. When the statement
// fails, the entry is undone with it, and goes before the next one again.
type wire struct {
	net.Conn
	in      *bufio.Reader
	left    int  // bytes of the current message that lib/pq has still to read
	started bool // the server has become ready once
	status  byte // transaction status when it last did
	asked   int  // times that it has still to become ready

	readOnly readOnly
	entry    entry  // what goes before lib/pq's messages
	plan     []step // what the answers to come belong to; lib/pq's own come after
	rescue   bool   // if the entry fails, the server waits for a Sync
	riding   bool   // an entry is in the transaction that is under way
	void     bool   // that transaction has failed
	failed   bool   // the entry failed, not what came after it; until somebody asks
	cause    error  // why, if lib/pq was not told
	idled    error  // the server ended the session, which idled in a transaction

	early []byte // messages that came while nobody read, and are lib/pq's
	out   []byte // reused between writes
}

// step is a part of the answers.
type step struct {
	kind  stepKind
	count int
}

type stepKind int

const (
	hideCommands stepKind = iota // hide all up to count completed commands
	hideReady                    // hide one ReadyForQuery
	showCommands                 // show results, but not ParseComplete and the like, up to count completed commands
)

func newWire(conn net.Conn) *wire {
	return &wire{Conn: conn, in: bufio.NewReaderSize(conn, wireReadSize)}
}

// Write sends lib/pq's messages, of which it writes whole ones only.
func (w *wire) Write(b []byte) (int, error) {
	if isCopying(b) {
		return w.Conn.Write(b)
	}
	if !w.started {
		return w.Conn.Write(b)
	}
	if !w.mayEnter(b) {
		w.asked += answers(b)
		return w.Conn.Write(b)
	}
	statements, err := w.entry.statements()
	if err != nil {
		w.failed, w.cause = true, err
		return 0, err
	}
	if w.mustSettle(b) {
		if w.readOnly.left() {
			statements = slices.Concat(mayWrite, statements)
		}
		if err := w.settle(statements); err != nil {
			return 0, err
		}
		w.asked += answers(b)
		return w.Conn.Write(b)
	}
	if w.entry.local() && w.readOnly.may() && !beginsTx(b) && (w.readOnly.left() || writes(b)) {
		statements = slices.Concat(mayWrite, statements)
	}
	w.begin()
	w.compose(statements, b)
	if _, err := w.Conn.Write(w.out); err != nil {
		return 0, err
	}
	return len(b), nil
}

// isCopying reports whether b are rows of a COPY, or their end. lib/pq reads meanwhile,
// in another goroutine: so nothing of w is touched.
func isCopying(b []byte) bool {
	return len(b) > 0 && (b[0] == msgCopyData || b[0] == msgCopyDone || b[0] == msgCopyFail)
}

// begin makes ready for another flight with an entry.
func (w *wire) begin() {
	w.out, w.plan, w.rescue = w.out[:0], w.plan[:0], false
	w.riding, w.void, w.failed, w.cause = true, false, false, nil
}

// mayEnter reports whether an entry goes before b: b begins a statement, outside a
// transaction.
func (w *wire) mayEnter(b []byte) bool {
	if w.entry.none() || w.asked > 0 || w.status != txIdle || len(b) < headerLen {
		return false
	}
	switch b[0] {
	case msgParse, msgBind:
		return true
	case msgQuery:
		return !isEmpty(queryText(b))
	default:
		return false
	}
}

// mustSettle reports whether the entry has to hold before b is sent: it outlasts the
// transaction, and what b says might end the transaction that both would share, as a
// procedure does with ROLLBACK, and go on as the tenant before. A prepared statement
// was looked at when it was prepared ([Conn.KeepsStatements]). So it is where the
// tenant before left the session unable to write: a transaction that begins so stays so.
func (w *wire) mustSettle(b []byte) bool {
	if w.entry.local() {
		return false
	}
	if w.readOnly.left() {
		return true
	}
	switch b[0] {
	case msgParse:
		return !sqlguard.IsPlain(parseText(b))
	case msgQuery:
		text := queryText(b)
		return !isBegin(text) && !sqlguard.IsPlain(text)
	default:
		return false
	}
}

// settle sends the entry by itself and waits until it holds.
func (w *wire) settle(statements []Statement) error {
	w.begin()
	w.appendEntry(statements)
	w.out = appendMessage(w.out, msgSync)
	w.plan = append(w.plan, step{hideReady, 1})
	w.asked++
	if _, err := w.Conn.Write(w.out); err != nil {
		return err
	}
	for w.asked > 0 {
		if err := w.take(); err != nil {
			return err
		}
	}
	return w.cause
}

// take reads a message while lib/pq does not.
func (w *wire) take() error {
	header, err := w.in.Peek(headerLen)
	if err != nil {
		return err
	}
	kind, size := header[0], messageSize(header)
	if size < headerLen || size > maxEarly {
		return fmt.Errorf("isolation/postgres: a message of %d bytes in answer to an entry", size)
	}
	message := make([]byte, size)
	var show bool
	switch kind {
	case msgReady:
		_, err = w.ready()
	case msgError:
		err = w.fail(size)
	default:
		show = w.answer(kind)
	}
	if err != nil {
		return err
	}
	if _, err := io.ReadFull(w.in, message); err != nil {
		return err
	}
	if kind == msgSetting {
		w.readOnly.note(message[headerLen:], true)
	}
	if kind == msgError {
		w.cause = parseError(message[headerLen:])
	}
	if show {
		w.early = append(w.early, message...)
	}
	return nil
}

// compose puts the statements and b into w.out, and the answers to expect into
// w.plan.
func (w *wire) compose(statements []Statement, b []byte) {
	begin := beginsTx(b)
	if begin && w.entry.local() {
		// The entry lasts as long as the transaction, so it comes after BEGIN; and in the
		// same flight, so that nothing happens in between.
		w.out = appendStatement(w.out, Statement{Query: queryText(b)})
		w.plan = append(w.plan, step{showCommands, 1})
		w.appendEntry(statements)
		w.out = appendMessage(w.out, msgSync)
		w.asked++
		return
	}
	w.appendEntry(statements)
	switch {
	case begin: // the entry outlasts the transaction, whose end must not undo it
		w.out = appendMessage(w.out, msgSync)
		w.plan = append(w.plan, step{hideReady, 1})
		w.asked++
	case b[0] == msgQuery:
		w.rescue = true
	}
	w.out = append(w.out, b...)
	w.asked += answers(b)
}

func (w *wire) appendEntry(statements []Statement) {
	for _, s := range statements {
		w.out = appendStatement(w.out, s)
	}
	w.plan = append(w.plan, step{hideCommands, len(statements)})
}

// Read returns what the server sent, without the answers to entries. It never waits
// when it has something to return.
func (w *wire) Read(b []byte) (int, error) {
	n := copy(b, w.early)
	w.early = w.early[n:]
	for n < len(b) {
		if w.left == 0 {
			if n > 0 && w.in.Buffered() < readyLen {
				break
			}
			if err := w.next(); err != nil {
				return n, err
			}
			continue
		}
		if n > 0 && w.in.Buffered() == 0 {
			break
		}
		read, err := w.in.Read(b[n:min(len(b), n+w.left)])
		n += read
		w.left -= read
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// next looks at the next message: it either takes it out or lets lib/pq have it.
func (w *wire) next() error {
	header, err := w.in.Peek(headerLen)
	if err != nil {
		if len(header) > 0 { // no message, but lib/pq may make something of it
			w.left = len(header)
			return nil
		}
		return err
	}
	kind, size := header[0], messageSize(header)
	if size < headerLen || size > maxMessage {
		w.left = headerLen // no message of PostgreSQL's; lib/pq says what it is
		return nil
	}
	show := true
	switch {
	case kind == msgReady && size == readyLen:
		show, err = w.ready()
	case kind == msgSetting && size <= maxSetting:
		err = w.setting(size)
	case !w.started:
	case kind == msgError:
		err = w.fail(size)
	default:
		show = w.answer(kind)
	}
	if err != nil {
		return err
	}
	if show {
		w.left = size
		return nil
	}
	_, err = w.in.Discard(size)
	return err
}

// answer takes down a message that is neither an error nor the end, and reports
// whether lib/pq gets it.
func (w *wire) answer(kind byte) bool {
	if len(w.plan) == 0 {
		return true
	}
	current := &w.plan[0]
	switch kind {
	case msgParseComplete, msgBindComplete, msgNoData:
		return false
	case msgRowDescription, msgDataRow:
		return current.kind == showCommands
	case msgComplete, msgNothing:
		show := current.kind == showCommands
		if current.count--; current.count == 0 {
			w.plan = w.plan[1:]
		}
		return show
	default: // notices, notifications and settings come at any time
		return true
	}
}

// setting takes down what the server reports of one of its settings.
func (w *wire) setting(size int) error {
	message, err := w.in.Peek(size)
	if err != nil {
		return io.ErrUnexpectedEOF
	}
	w.readOnly.note(message[headerLen:], w.started)
	return nil
}

// fail takes down an error: the server skips everything up to the next Sync.
func (w *wire) fail(size int) error {
	w.void = true
	start, err := w.in.Peek(min(size, errorStart))
	if err != nil {
		return io.ErrUnexpectedEOF
	}
	if hasState(start, idleInTransaction) {
		w.idled = parseError(start[headerLen:])
	}
	if w.riding && w.entry.local() {
		w.readOnly.fear(start)
	}
	if w.riding && w.entryPending() {
		w.failed = true
		if w.rescue {
			w.rescue = false
			if _, err := w.Conn.Write(appendMessage(nil, msgSync)); err != nil {
				return err
			}
		}
	}
	w.plan = w.plan[:0]
	return nil
}

// entryPending reports whether the answers to the entry have not all come.
func (w *wire) entryPending() bool {
	for _, s := range w.plan {
		if s.kind == hideCommands {
			return true
		}
	}
	return false
}

// ready takes down that the server is ready, and reports whether lib/pq is told.
func (w *wire) ready() (show bool, err error) {
	message, err := w.in.Peek(readyLen)
	if err != nil {
		return false, io.ErrUnexpectedEOF
	}
	w.started, w.status = true, message[headerLen]
	w.asked = max(w.asked-1, 0)
	if w.riding {
		w.riding = false
		if !w.void && w.status == txIdle { // what is in a transaction still may be undone
			w.entry.done()
			w.readOnly.calm()
		}
	}
	if len(w.plan) > 0 && w.plan[0].kind == hideReady {
		w.plan = w.plan[1:]
		return false, nil
	}
	w.plan = w.plan[:0]
	return true, nil
}

// entryFailure returns, once, why the entry failed, if the last error, which lib/pq
// reported as err, was the entry's.
func (w *wire) entryFailure(err error) error {
	if !w.failed {
		return nil
	}
	if w.cause != nil {
		err = w.cause
	}
	w.failed, w.cause = false, nil
	return err
}

// idle reports whether the session is in no transaction and has answered everything.
func (w *wire) idle() bool { return w.started && w.asked == 0 && w.status == txIdle }
