package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// console prints results on standard output, and progress on standard error: as bars on
// a terminal, else as lines now and then.
type console struct {
	stdout, stderr io.Writer
	json           bool
	width          func() int // of the terminal; nil where there is none, or none is wanted
	colours        bool

	mu  sync.Mutex
	bar *bar // guarded by mu; the one that is shown
}

func newConsole(stdout, stderr io.Writer, o options) *console {
	c := &console{stdout: stdout, stderr: stderr, json: o.json}
	if file, ok := stderr.(*os.File); ok && !o.plain && os.Getenv("TERM") != "dumb" {
		if _, ok := terminalWidth(file); ok {
			c.width = func() int { return max(40, orDefault(terminalWidth(file))) }
			c.colours = os.Getenv("NO_COLOR") == ""
		}
	}
	return c
}

func orDefault(width int, ok bool) int {
	if !ok || width == 0 {
		return 80
	}
	return width
}

// The colours of a terminal.
const (
	plainText = ""
	bold      = "1"
	dim       = "2"
	red       = "31"
	green     = "32"
	cyan      = "36"
)

func (c *console) paint(colour, text string) string {
	if !c.colours || colour == plainText || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// line prints a line on standard error, above the bar.
func (c *console) line(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(fmt.Sprintf(format, args...))
}

// put prints a line; c.mu is held.
func (c *console) put(text string) {
	if c.bar != nil && c.width != nil {
		fmt.Fprint(c.stderr, "\r\x1b[K")
	}
	fmt.Fprintln(c.stderr, text)
	if c.bar != nil {
		c.bar.draw()
	}
}

// ok and failed print what was done, and what was not.
func (c *console) ok(format string, args ...any)     { c.marked("✓", "ok    ", green, format, args...) }
func (c *console) failed(format string, args ...any) { c.marked("✗", "failed", red, format, args...) }

func (c *console) marked(sign, word, colour, format string, args ...any) {
	if c.width == nil {
		c.line("%s %s", word, fmt.Sprintf(format, args...))
		return
	}
	c.line("%s %s", c.paint(colour, sign), fmt.Sprintf(format, args...))
}

// end prints what a command did, and its error.
func (c *console) end(name string, r result, err error, code int) {
	if c.json {
		c.document(name, r, err, code)
		return
	}
	if r != nil {
		r.print(c.stdout)
	}
	switch code {
	case exitOK, exitFound:
	case exitInterrupted:
		c.line("%s; the same command goes on where it stopped", c.paint(bold, "interrupted"))
	default:
		c.line("%s %v", c.paint(red, "operator "+name+":"), err)
	}
}

// document is what -json prints: always one, whatever happened.
type document struct {
	Command string `json:"command"`
	Exit    int    `json:"exit"`
	Error   string `json:"error,omitempty"`
	Result  result `json:"result,omitempty"`
}

func (c *console) document(name string, r result, err error, code int) {
	d := document{Command: name, Exit: code, Result: r}
	if err != nil {
		d.Error = err.Error()
	}
	e := json.NewEncoder(c.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(d); err != nil {
		c.line("operator %s: %v", name, err)
	}
}

// bar shows how far work has come. Without a total it shows that it goes on.
type bar struct {
	*console
	name  string
	start time.Time
	stop  chan struct{}
	done  chan struct{}

	now, total int    // guarded by console.mu, as all below
	about      string // what is under way
	told       time.Time
	frame      int
}

const (
	minNote = 12                     // columns of what is under way, at least
	refresh = 100 * time.Millisecond // how often a bar is drawn anew
	pause   = 5 * time.Second        // between the lines of a bar where there is no terminal
)

// begin shows a bar until end.
func (c *console) begin(name string, total int) *bar {
	b := &bar{console: c, name: name, total: total, start: time.Now(), told: time.Now(), stop: make(chan struct{}), done: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bar = b
	if c.width == nil {
		close(b.done)
		return b
	}
	b.draw()
	go b.turn()
	return b
}

// turn draws the bar again and again, so that the time goes on while nothing happens.
func (b *bar) turn() {
	defer close(b.done)
	ticker := time.NewTicker(refresh)
	defer ticker.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-ticker.C:
			b.mu.Lock()
			b.frame++
			b.draw()
			b.mu.Unlock()
		}
	}
}

// set says how far the work is.
func (b *bar) set(now, total int, note string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now, b.total, b.about = now, total, note
	if b.width != nil || time.Since(b.told) < pause {
		return // a terminal is drawn anew soon
	}
	b.told = time.Now()
	if total == 0 {
		fmt.Fprintf(b.stderr, "%s: %s\n", b.name, join(note, clock(time.Since(b.start))))
		return
	}
	fmt.Fprintf(b.stderr, "%s: %d of %d (%d%%) after %s\n", b.name, now, total, now*100/total, clock(time.Since(b.start)))
}

// note says what is under way.
func (b *bar) note(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.about = text
}

// end takes the bar away.
func (b *bar) end() {
	close(b.stop)
	<-b.done
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.width != nil {
		fmt.Fprint(b.stderr, "\r\x1b[K")
	}
	b.bar = nil
}

// draw draws the bar over itself; console.mu is held.
func (b *bar) draw() {
	if b.width == nil {
		return
	}
	fmt.Fprint(b.stderr, "\r"+b.render(b.width()-1, time.Since(b.start))+"\x1b[K")
}

// render returns the bar in at most width columns:
//
//	migrate ━━━━━━━━━━━━━━━━━━━━──────────  62%  1240/2000  0:12  0:07 left  acme
//
// and without a total:
//
//	⠹ copied  0:12
func (b *bar) render(width int, took time.Duration) string {
	if b.total == 0 {
		return b.paint(cyan, spinner(b.frame)) + " " + cut(b.name+"  "+join(b.about, clock(took)), width-2)
	}
	figures := fmt.Sprintf(" %3d%%  %d/%d  %s", b.now*100/b.total, b.now, b.total, clock(took))
	room := width - utf8.RuneCountInString(b.name) - 1 - utf8.RuneCountInString(figures)
	if left := remaining(b.now, b.total, took); left != "" && room > 5+2+len(left) {
		figures, room = figures+"  "+left, room-2-len(left)
	}
	wide, note := min(30, max(5, room)), ""
	if b.about != "" && room > 10+minNote {
		wide = min(30, room-2-minNote)
		note = "  " + cut(b.about, room-wide-2)
	}
	full := b.now * wide / b.total
	return b.paint(bold, b.name) + " " + b.paint(cyan, strings.Repeat("━", full)) + b.paint(dim, strings.Repeat("─", wide-full)) +
		figures + b.paint(dim, note)
}

func spinner(frame int) string {
	frames := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
	return string(frames[frame%len(frames)])
}

// remaining tells how long the rest takes, if it goes on as it has.
func remaining(now, total int, took time.Duration) string {
	if now == 0 || now == total || took < 2*time.Second {
		return ""
	}
	return clock(took*time.Duration(total-now)/time.Duration(now)) + " left"
}

// clock writes a duration as 0:07 or 1:02:03.
func clock(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

func join(parts ...string) string {
	var given []string
	for _, p := range parts {
		if p != "" {
			given = append(given, p)
		}
	}
	return strings.Join(given, "  ")
}

// cut shortens text to width columns.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:max(0, width-1)]) + "…"
}
