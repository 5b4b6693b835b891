package count

import (
	"maps"
	"slices"
	"strings"
)

// Counter is one counter, as stores keep it. Whoever has one guards it.
type Counter struct {
	Used    int64               `json:"used"`    // units of a rate so far; it only grows
	Arrival int64               `json:"arrival"` // of the burst
	Windows map[string]State    `json:"windows"` // by their keys
	Kept    int64               `json:"kept"`    // units of a stock that stay
	Holders map[string][2]int64 `json:"holders"` // units, and until when they are held

	changed bool
}

// State is that of a window: until when it counts anything, the time that it was rolled to
// and its roller's words. It stays as it is while the words do.
type State []int64

func (s State) words() []int64 { return s[2:] }

// New returns a counter of which nothing was used.
func New() *Counter {
	return &Counter{Windows: make(map[string]State), Holders: make(map[string][2]int64)}
}

// Clone returns a copy of c.
func (c *Counter) Clone() *Counter {
	same := *c
	same.Holders = maps.Clone(c.Holders)
	same.Windows = make(map[string]State, len(c.Windows))
	for key, s := range c.Windows {
		same.Windows[key] = slices.Clone(s)
	}
	return &same
}

// Changed reports whether there is more to keep of c than was kept: refused charges change
// its windows at most, and nothing of a counter of which nothing was used.
func (c *Counter) Changed() bool { return c.changed }

// FreshAt returns from when on c, of the kind, is as good as a new one, or Never.
func (c *Counter) FreshAt(kind string) int64 {
	at := c.Arrival
	switch kind {
	case Stock:
		return Never
	case Concurrent:
		for _, h := range c.Holders {
			at = max(at, h[1])
		}
	default:
		for _, s := range c.Windows {
			at = max(at, s[0])
		}
	}
	return at
}

// Level returns what is used of c at now. It changes nothing.
func (c *Counter) Level(spec *Spec, now int64) Level {
	looked := c.Clone()
	if spec.Kind != Rate {
		return Level{Used: looked.held(now)}
	}
	var level Level
	for i := range spec.Windows {
		w := &spec.Windows[i]
		words, at := looked.window(w, now)
		top, _ := w.Ceiling(words, w.Limit, at)
		level.Windows = append(level.Windows, WindowLevel{looked.Used - (top - w.Limit), w.Reset(words, at)})
	}
	return level
}

// window returns the words of w, rolled to now, and the time that they are at: if the clock
// was set back, they stay where they are. A window that c lacks begins now.
func (c *Counter) window(w *Window, now int64) (words []int64, at int64) {
	s := c.Windows[w.Key]
	if s == nil {
		s = make(State, 2+w.Words())
		w.Start(s.words(), c.Used, now)
		c.Windows[w.Key] = s
	} else {
		now = max(now, s[1])
		if !w.reach(s, c.Used, now) {
			return s.words(), now
		}
	}
	s[0], s[1] = w.Forgotten(s.words(), now), now
	c.changed = c.changed || c.Used > 0
	return s.words(), now
}

// reach rolls s to now, and reports whether that changed its words.
func (w *Window) reach(s State, used, now int64) bool {
	if _, edge := w.Ceiling(s.words(), 0, s[1]); now >= edge {
		w.Roll(s.words(), used, s[1], now)
		return true
	}
	c, is := w.Roller.(Calendar)
	return is && c.Move(s.words(), now)
}

// count takes the units of a rate, unless the refusal has a cause.
func (c *Counter) count(spec *Spec, charge Charge, now int64) (Granted, Refusal) {
	room, edge := MaxUnits, int64(Never)
	for i := range spec.Windows {
		w := &spec.Windows[i]
		words, at := c.window(w, now)
		top, until := w.Ceiling(words, w.Limit, at)
		room, edge = min(room, top-c.Used), min(edge, until)
	}
	n, arrival := charge.within(room), c.Arrival
	if b := spec.burst(); b != nil {
		n = Charge{n, charge.Least}.within(b.Room(arrival, now))
		next, at := b.Next(arrival, n, now)
		if at > now {
			return Granted{}, refusal(len(spec.Windows), at, now)
		}
		arrival = next
	}
	if n > room {
		return Granted{}, c.refuse(spec, n, now)
	}
	c.add(n)
	c.Arrival = arrival
	g := Granted{N: n, Left: room - n}
	if edge != Never {
		g.For = edge - now
	}
	return g, Refusal{}
}

// refuse says why n units have no room, and when they will.
func (c *Counter) refuse(spec *Spec, n, now int64) Refusal {
	latest, window := now, 0
	for i := range spec.Windows {
		w := &spec.Windows[i]
		words, at := c.window(w, now)
		if again := w.Retry(words, c.Used, w.Limit, n, at); again > latest {
			latest, window = again, i
		}
	}
	return refusal(window, latest, now)
}

// GiveBack carries out a return, which nothing refuses.
func (c *Counter) GiveBack(spec *Spec, r Return, holder string, now int64) {
	c.changed = true
	if spec.Kind == Rate {
		c.uncount(spec, r, now)
	} else {
		c.release(spec, r, holder, now)
	}
}

// uncount carries out the return of a rate.
func (c *Counter) uncount(spec *Spec, r Return, now int64) {
	for i := range spec.Windows {
		w := &spec.Windows[i]
		if words, at := c.window(w, now); r.N > 0 {
			w.Refund(words, c.Used, r.N, r.At, at)
		}
	}
	if r.N < 0 {
		c.add(-r.N)
	}
	b := spec.burst()
	switch {
	case b == nil || b.Limit == 0:
	case r.N > 0:
		c.Arrival = max(0, c.Arrival-b.Back(r.N, r.At, now))
	default:
		c.Arrival = b.After(c.Arrival, -r.N, now)
	}
}

// burst returns that of s, or nil.
func (s *Spec) burst() *Burst {
	if s.Burst == 0 || len(s.Windows) == 0 {
		return nil
	}
	return &Burst{Units: s.Burst, Limit: s.Windows[0].Limit, Length: s.Windows[0].Length}
}

// end is where counters end, far beyond all limits, so that sums of numbers fit.
const end = int64(1) << 60

// add counts n units. Where the counter would end it begins at nought again, and its
// windows with it.
func (c *Counter) add(n int64) {
	if c.Used+n > end {
		for key, s := range c.Windows {
			marks := s.words()[:1] // what the counter was
			if strings.HasSuffix(key, "/"+strictRoll) {
				marks = s.words()
			}
			for i := range marks {
				marks[i] = max(marks[i]-c.Used, -end)
			}
		}
		c.Used = 0
	}
	c.Used += n
}
