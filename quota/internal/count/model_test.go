package count_test

import (
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/thorough"
	"github.com/tenancy-go/tenancy/quota/internal/count"
)

// seeds is how many random runs there are.
func seeds() uint64 {
	if thorough.On() {
		return 1000
	}
	return 60
}

// entry is what was counted of a rate, or is held, as a naive counter writes it down.
type entry struct{ at, n int64 }

// window is one with what the model has to know of it.
type window struct {
	count.Window
	roll, per string
	zone      *time.Location
}

// model counts by going through all that there was.
type model struct {
	spec    *count.Spec
	windows []window
	log     []entry
	kept    int64
	holders map[string]entry // until at
}

// used returns what counts against the limit of w, as the documentation says.
func (m *model) used(w window, now int64) int64 {
	switch w.roll {
	case "strict":
		part := w.Length / count.Parts
		return m.since(now/part*part - count.Parts*part)
	case "calendar":
		return m.since(beginOf(w, now))
	default:
		begin := now / w.Length * w.Length
		here := m.since(begin)
		before := big.NewInt(m.since(begin-w.Length) - here)
		before.Mul(before, big.NewInt(begin+w.Length-now)).Add(before, big.NewInt(w.Length-1)).Div(before, big.NewInt(w.Length))
		return here + before.Int64()
	}
}

// since returns what was counted from a time on.
func (m *model) since(from int64) (sum int64) {
	for _, e := range m.log {
		if e.at >= from {
			sum += e.n
		}
	}
	return sum
}

// beginOf returns when the period began, in zones without jumps at midnight.
func beginOf(w window, now int64) int64 {
	at := time.Unix(0, now).In(w.zone)
	year, month, day := at.Date()
	switch w.per {
	case "month":
		day = 1
	case "week":
		day -= (int(at.Weekday()) + 6) % 7
	default:
	}
	return time.Date(year, month, day, 0, 0, 0, 0, w.zone).UnixNano()
}

// room returns how many units have room at now.
func (m *model) room(now int64) int64 {
	room := count.MaxUnits
	if m.spec.Kind != count.Rate {
		if m.spec.Max == count.Unlimited {
			return room
		}
		return m.spec.Max - m.held(now)
	}
	for _, w := range m.windows {
		room = min(room, w.Limit-m.used(w, now))
	}
	return room
}

func (m *model) held(now int64) int64 {
	sum := m.kept
	for _, e := range m.holders {
		if e.at > now {
			sum += e.n
		}
	}
	return sum
}

// take takes n units of m.
func (m *model) take(n int64, by count.Holder, now int64) {
	if m.spec.Kind == count.Rate {
		m.log = append(m.log, entry{now, n})
		return
	}
	mine := m.holders[by.Name]
	if mine.at <= now || mine.n == 0 {
		mine = entry{}
	}
	m.holders[by.Name] = entry{max(mine.at, by.Until), mine.n + n}
}

// pair is a counter with its model.
type pair struct {
	*count.Counter
	*model
}

func random(rnd *rand.Rand, kind string) *model {
	m := &model{spec: &count.Spec{Kind: kind, Max: rnd.Int64N(40) - 1}, holders: make(map[string]entry)}
	if kind != count.Rate {
		return m
	}
	names := []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"}
	zone, err := time.LoadLocation(names[rnd.IntN(len(names))])
	if err != nil {
		zone = time.UTC
	}
	for _, w := range []window{
		{per: "second", roll: "rolling", Window: count.Window{Length: 1e9}}, {per: "1.001s", roll: "strict", Window: count.Window{Length: 1_001_000_000}},
		{per: "7s", roll: "rolling", Window: count.Window{Length: 7e9}}, {per: "hour", roll: "strict", Window: count.Window{Length: 3600e9}},
		{per: "day", roll: "calendar", Window: count.Window{Length: 24 * 3600e9}}, {per: "week", roll: "calendar", Window: count.Window{Length: 7 * 24 * 3600e9}},
		{per: "month", roll: "calendar", Window: count.Window{Length: 30 * 24 * 3600e9}},
	} {
		if rnd.IntN(2) == 0 {
			w.Window, w.zone = count.NewWindow(w.per, w.roll, w.Length, rnd.Int64N(40), zone), zone
			m.windows, m.spec.Windows = append(m.windows, w), append(m.spec.Windows, w.Window)
		}
	}
	return m
}

func pause(rnd *rand.Rand) int64 {
	all := []time.Duration{0, 0, time.Millisecond, 129 * time.Millisecond, 777 * time.Millisecond, 3 * time.Second, 9 * time.Minute, 11 * time.Hour, 200 * time.Hour}
	return int64(all[rnd.IntN(len(all))])
}

// TestAgainstModel charges several counters at a time and gives back, and compares with
// one that goes through all of the past.
func TestAgainstModel(t *testing.T) {
	t.Parallel()
	for seed := range seeds() {
		rnd := rand.New(rand.NewPCG(seed, 7))
		var all []pair
		for _, kind := range []string{count.Rate, count.Rate, count.Concurrent, count.Stock} {
			all = append(all, pair{count.New(), random(rnd, kind)})
		}
		if rnd.IntN(2) == 0 {
			all[0].Used = 1<<60 - rnd.Int64N(100) // where it has to begin at nought again
		}
		now := time.Date(2027, 2, 27, 22, 59, 58, 0, time.UTC).UnixNano()
		for range 150 {
			now += pause(rnd)
			by := count.Holder{Name: fmt.Sprint(rnd.IntN(3)), Until: now + rnd.Int64N(int64(5*time.Second))}
			giveBack(rnd, all[rnd.IntN(len(all))], by, now)
			charge(t, rnd, all, by, now)
			for _, p := range all {
				compare(t, p, now)
			}
		}
		for _, p := range all {
			forgets(t, p, now)
		}
	}
}

// giveBack gives back what was taken, or owes or keeps something, at random.
func giveBack(rnd *rand.Rand, p pair, by count.Holder, now int64) {
	r := count.Return{N: rnd.Int64N(4), Kept: rnd.Int64N(5) - 1, Exact: rnd.IntN(3) == 0}
	r.Kept = max(r.Kept, 0)
	switch {
	case rnd.IntN(2) == 0:
		return
	case p.spec.Kind != count.Rate:
		mine := p.holders[by.Name]
		mine.n -= r.N
		if p.holders[by.Name] = mine; mine.n <= 0 || mine.at <= now {
			delete(p.holders, by.Name)
		}
		if p.spec.Kind == count.Stock {
			p.kept += r.Kept
			if r.Exact {
				p.kept = r.Kept
			}
		}
	case len(p.log) == 0 || rnd.IntN(4) == 0:
		r.N = -r.N
		p.log = append(p.log, entry{now, -r.N})
	default:
		e := &p.log[rnd.IntN(len(p.log))]
		r.N, r.At = min(r.N, e.n), e.at
		e.n -= r.N
	}
	p.GiveBack(p.spec, r, by.Name, now)
}

// charge charges some of all, perhaps the same twice: all or none.
func charge(t *testing.T, rnd *rand.Rand, all []pair, by count.Holder, now int64) {
	t.Helper()
	var charges []count.Asked
	var asked []pair
	for range 1 + rnd.IntN(3) {
		p, c := all[rnd.IntN(len(all))], count.Charge{N: rnd.Int64N(9)}
		if c.N > 0 && rnd.IntN(3) == 0 {
			c.Least = 1 + rnd.Int64N(c.N)
		}
		charges, asked = append(charges, count.Asked{Counter: p.Counter, Spec: p.spec, Charge: c}), append(asked, p)
	}
	clones := make([]model, len(asked))
	answer := count.TakeAll(charges, by, now)
	for i, p := range asked {
		clones[i] = *p.model
		clones[i].holders = maps.Clone(p.holders)
		n, room := charges[i].N, p.room(now)
		if charges[i].Least > 0 {
			n = max(charges[i].Least, min(n, room))
		}
		if n > room {
			require.False(t, answer.OK, "%+v has room for %d, not %d", *p.spec, room, n)
			require.Equal(t, i, answer.Refused)
			checkRetry(t, p, n, answer.Refusal, now)
			for ; i >= 0; i-- {
				*asked[i].model = clones[i]
			}
			return
		}
		if answer.OK {
			require.Equal(t, []int64{n, room - n}, []int64{answer.Granted[i].N, answer.Granted[i].Left}, "%+v", *p.spec)
		}
		p.take(n, by, now)
	}
	require.True(t, answer.OK, "%+v", answer)
}

// checkRetry checks that n units have room when a refusal says so, and no earlier.
func checkRetry(t *testing.T, p pair, n int64, why count.Refusal, now int64) {
	t.Helper()
	switch {
	case p.spec.Kind != count.Rate:
		want := map[string]string{count.Concurrent: count.CauseBusy, count.Stock: count.CauseStock}[p.spec.Kind]
		if n > p.spec.Max {
			want = count.CauseTooLarge
		}
		require.Equal(t, want, why.Cause)
	case why.Cause == count.CauseTooLarge:
		require.Greater(t, n, p.spec.Windows[why.Window].Limit)
	case count.CauseLimit == why.Cause:
		require.GreaterOrEqual(t, p.room(now+why.Retry), n, "%+v", *p.spec)
		require.Less(t, p.room(now+why.Retry-1), n, "%+v", *p.spec)
	}
}

func compare(t *testing.T, p pair, now int64) {
	t.Helper()
	level := p.Level(p.spec, now)
	if p.spec.Kind != count.Rate {
		require.Equal(t, p.held(now), level.Used)
		return
	}
	for i, w := range p.windows {
		require.Equal(t, p.used(w, now), level.Windows[i].Used, "%s/%s", w.per, w.roll)
		require.Greater(t, level.Windows[i].Resets, now)
	}
}

// forgets checks that a counter counts until it is as a new one, and then no more.
func forgets(t *testing.T, p pair, now int64) {
	t.Helper()
	at := p.FreshAt(p.spec.Kind)
	if at == count.Never {
		require.Equal(t, count.Stock, p.spec.Kind)
		return
	}
	at = max(at, now)
	c := count.Charge{N: 1 << 50, Least: 1}
	ask := func(c *count.Counter, ch count.Charge) count.Answer {
		return count.TakeAll([]count.Asked{{Counter: c, Spec: p.spec, Charge: ch}}, count.Holder{Name: "x", Until: at + 1}, at)
	}
	require.Equal(t, ask(count.New(), c), ask(p.Clone(), c), "%+v", *p.spec)
}

// TestStrictHoldsWhateverTheClock sets the clock back at times: laid by the latest time that
// there was, no window has more than the limit.
func TestStrictHoldsWhateverTheClock(t *testing.T) {
	t.Parallel()
	for seed := range seeds() {
		rnd := rand.New(rand.NewPCG(seed, 8))
		w := window{Window: count.NewWindow("8s", "strict", 8e9, 1+rnd.Int64N(30), nil)}
		c, m := count.New(), &model{spec: &count.Spec{Kind: count.Rate, Windows: []count.Window{w.Window}}}
		latest := int64(1_800_000_000e9)
		for i := range 400 {
			now := latest + rnd.Int64N(1e9)*rnd.Int64N(2)
			if i > 0 && rnd.IntN(3) == 0 {
				now = latest - rnd.Int64N(20e9)
			}
			latest = max(latest, now)
			a := count.TakeAll([]count.Asked{{Counter: c, Spec: m.spec, Charge: count.Charge{N: 1 + rnd.Int64N(3)}}}, count.Holder{}, now)
			if a.OK {
				m.log = append(m.log, entry{latest, a.Granted[0].N})
			}
		}
		for _, e := range m.log {
			over := *m
			over.log = nil
			for _, other := range m.log {
				if other.at < e.at+w.Length {
					over.log = append(over.log, other)
				}
			}
			require.LessOrEqual(t, over.since(e.at), w.Limit, "seed %d", seed)
		}
	}
}

// TestBurstHolds lets in no more in any time than the rate and the burst, and again when it
// says so.
func TestBurstHolds(t *testing.T) {
	t.Parallel()
	for seed := range seeds() {
		rnd := rand.New(rand.NewPCG(seed, 9))
		limit, burst := 1+rnd.Int64N(100), 1+rnd.Int64N(20)
		m := &model{spec: &count.Spec{Kind: count.Rate, Burst: burst, Windows: []count.Window{count.NewWindow("minute", "rolling", 60e9, limit, nil)}}}
		c, now := count.New(), int64(1_800_000_000e9)
		for range 200 {
			now += rnd.Int64N(60e9/limit) * rnd.Int64N(3)
			take := func(c *count.Counter, n, at int64) count.Answer {
				return count.TakeAll([]count.Asked{{Counter: c, Spec: m.spec, Charge: count.Charge{N: n}}}, count.Holder{}, at)
			}
			n := 1 + rnd.Int64N(5)
			a := take(c, n, now)
			switch {
			case a.OK:
				m.log = append(m.log, entry{now, n})
			case a.Window == 1 && a.Cause == count.CauseTooLarge:
				require.Greater(t, n, burst)
			case a.Window == 1:
				require.NotEqual(t, 1, take(c.Clone(), n, now+a.Retry).Window)
				require.Equal(t, 1, take(c.Clone(), n, now+a.Retry-1).Window)
			}
		}
		for i, from := range m.log {
			sum := int64(0)
			for _, e := range m.log[i:] {
				sum += e.n
				due := big.NewInt(e.at - from.at)
				require.LessOrEqual(t, sum, burst+due.Mul(due, big.NewInt(limit)).Div(due, big.NewInt(60e9)).Int64(), "seed %d", seed)
			}
		}
	}
}
