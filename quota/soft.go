package quota

import (
	"context"
	"sync/atomic"
	"time"
)

// softState is what an account knows of the soft limits of one limit that a store
// counts: a bit for each window whose soft limit is passed, or the first for other kinds.
type softState struct {
	passed atomic.Uint32
	looked atomic.Int64 // when the store was asked last
}

// Load returns the bits, none for a nil softState.
func (s *softState) Load() uint32 {
	if s == nil {
		return 0
	}
	return s.passed.Load()
}

// due reports whether it is time to ask the store.
func (s *softState) due(now int64) bool { return now-s.looked.Load() >= softEvery }

// softEvery is how often a store is asked whether soft limits are passed.
const softEvery = int64(time.Second)

// watchSoft asks the store, from time to time and while nobody waits, whether a soft
// limit of p is passed, and tells of it once.
func (a *Account) watchSoft(ctx context.Context, s *accountState, p *part) {
	p.soft = s.entry(p.claim.Limit).soft
	if p.soft == nil || p.limit.Per == PerKey || !p.limit.warns() {
		return
	}
	now, looked := a.e.clk.exact(), p.soft.looked.Load()
	if now-looked < softEvery || !p.soft.looked.CompareAndSwap(looked, now) {
		return
	}
	limit, claim, soft := p.limit, p.claim, p.soft
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.e.shared.timeout)
		defer cancel()
		levels, err := a.e.shared.store.Read(ctx, a.id, []Counter{{Limit: limit.name, Terms: limit.terms}})
		if err == nil {
			a.compareSoft(ctx, limit, claim, soft, levels[0])
		}
	}()
}

// warns reports whether l has a soft limit.
func (l *limit) warns() bool { return l.Warn > 0 || l.Grace > 0 }

// compareSoft tells of soft limits that level passes and did not before.
func (a *Account) compareSoft(ctx context.Context, l *limit, c Claim, soft *softState, level Level) {
	compare := func(i int, used, limit int64, event Event) {
		warn, bit := l.Limit.warn(limit), uint32(1)<<i
		if used > warn {
			if soft.passed.Or(bit)&bit == 0 {
				a.event(ctx, event, c)
			}
		} else if used <= warn-warn/10 {
			soft.passed.And(^bit)
		}
	}
	if l.Kind != Rate {
		compare(0, level.Used, l.Max, Event{Kind: Warned})
		return
	}
	for i, w := range l.rule.windows[:min(l.rule.active, len(level.Windows))] {
		compare(i, level.Windows[i].Used, w.public.Limit, Event{Kind: Warned, Window: w.public.Per})
	}
}
