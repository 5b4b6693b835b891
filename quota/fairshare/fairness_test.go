package fairshare_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tenancy-go/tenancy/internal/thorough"
	"github.com/tenancy-go/tenancy/quota/fairshare"
	"github.com/tenancy-go/tenancy/tenant"
)

// patient is for loads that have more waiting than is usual.
var patient = fairshare.Share{MaxQueue: 5000, MaxWait: time.Hour}

func nine(l load) (loads []load) {
	for i := range 9 {
		l.id = tenant.ID(fmt.Sprintf("quiet-%d", i))
		loads = append(loads, l)
	}
	return loads
}

// One tenant with a thousand workers and nine with one each share ten slots by equal
// weights. A worker alone with its share of one slot never waits, so what is compared
// with that is the time until it is done.
func TestNoisyNeighbour(t *testing.T) {
	dedicated := patient
	dedicated.Dedicated = 1
	for _, tt := range []struct {
		name  string
		share fairshare.Share
		opts  []fairshare.Option
		wait  bool // may the quiet ones wait at all
	}{
		{"shared slots", patient, nil, true},
		{"shared slots, patience of 1 ms", patient, []fairshare.Option{fairshare.WithPatience(time.Millisecond)}, false},
		{"a dedicated slot each", dedicated, nil, false},
	} {
		for name, hold := range map[string]lasting{"10 ms": steady, "5 to 15 ms": uneven, "exponential": exponential} {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					quiet := load{id: "alone", workers: 1, hold: hold}
					alone := measure(t, newScheduler(t, 1, patient), quiet)["alone"]
					t.Logf("alone:   %v", alone)
					s := newScheduler(t, 10, tt.share, tt.opts...)
					all := measure(t, s, append(nine(quiet), load{id: "noisy", workers: 1000, hold: hold})...)
					for id, o := range all {
						t.Logf("%s: %v", id, o)
						if id == "noisy" {
							continue
						}
						assert.InDelta(t, 1, o.units, 0.1, "%s: a tenth of ten slots", id)
						assert.LessOrEqual(t, percentile(o.whole, 99), 2*percentile(alone.whole, 99), id)
						if !tt.wait {
							assert.Zero(t, percentile(o.waits, 99), id)
						}
					}
				})
			})
		}
	}
}

// The same beside requests that arrive by themselves, at a part of the share: these wait
// when they are alone with one slot, too.
func TestNoisyNeighbourOfArrivals(t *testing.T) {
	for _, part := range []float64{0.5, 0.8} {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				quiet := load{id: "alone", hold: steady, every: func(r *rand.Rand) time.Duration {
					return time.Duration(r.ExpFloat64() * float64(usual) / part)
				}}
				alone := measure(t, newScheduler(t, 1, patient), quiet)["alone"]
				t.Logf("alone:   %v", alone)
				all := measure(t, newScheduler(t, 10, patient), append(nine(quiet), load{id: "noisy", workers: 1000, hold: steady})...)
				for id, o := range all {
					t.Logf("%s: %v", id, o)
					if id != "noisy" {
						assert.InDelta(t, part, o.units, 0.15*part, "%s: all it asked for", id)
						assert.LessOrEqual(t, percentile(o.waits, 99), 2*percentile(alone.waits, 99), id)
					}
				}
			})
		})
	}
}

// Patience is for who has less than its part: of two workers that share a slot neither is
// waited for.
func TestPatienceIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pause := func(*rand.Rand) time.Duration { return time.Millisecond / 2 }
		s := newScheduler(t, 1, patient, fairshare.WithPatience(time.Millisecond))
		all := measure(t, s, load{id: "a", workers: 1, hold: uneven, pause: pause}, load{id: "b", workers: 1, hold: uneven, pause: pause})
		t.Logf("a: %v\nb: %v", all["a"], all["b"])
		assert.InDelta(t, 0.5, all["a"].units, 0.02)
		assert.InDelta(t, 0.5, all["b"].units, 0.02)
		done := len(all["a"].whole) + len(all["b"].whole)
		assert.InEpsilon(t, measured/usual, done, 0.02, "the slot is not idle")
	})
}

// What counts is the time for which units are held, not the number of requests.
func TestLongJobsGetNoMoreThanShortOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := measure(t, newScheduler(t, 10, patient),
			load{id: "long", workers: 50, hold: long}, load{id: "short", workers: 50, hold: uneven})
		t.Logf("long:  %v\nshort: %v", all["long"], all["short"])
		assert.InDelta(t, 5, all["long"].units, 0.25)
		assert.InDelta(t, 5, all["short"].units, 0.25)
	})
}

// division is what each of the shares comes to if all ask for more: their dedicated
// units, and the rest by weight up to Max.
func division(capacity float64, shares []fairshare.Share) []float64 {
	units := make([]float64, len(shares))
	bounded := make([]bool, len(shares))
	for i, s := range shares {
		units[i] = float64(s.Dedicated)
		capacity -= units[i]
	}
	for {
		var weights, left float64 = 0, capacity
		for i, s := range shares {
			if bounded[i] {
				left -= float64(s.Max - s.Dedicated)
			} else {
				weights += float64(s.Weight)
			}
		}
		again := false
		for i, s := range shares {
			if extra := left * float64(s.Weight) / weights; !bounded[i] {
				units[i] = float64(s.Dedicated) + extra
				if s.Max > 0 && units[i] > float64(s.Max) {
					units[i], bounded[i], again = float64(s.Max), true, true
				}
			}
		}
		if !again {
			return units
		}
	}
}

// Random weights, dedicated units and bounds come to what they promise, whatever the
// jobs last and how many units they take.
func TestRandomShares(t *testing.T) {
	cases := 3
	if thorough.On() {
		cases = 200
	}
	kinds := []lasting{steady, uneven, exponential, long}
	for seed := range cases {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				random := source(seed, 0)
				capacity := 8 + random.Int64N(25)
				var (
					shares []fairshare.Share
					loads  []load
					all    = table{}
				)
				for i := range 2 + random.IntN(5) {
					l := load{id: tenant.ID(fmt.Sprintf("t%d", i)), workers: 40 + random.IntN(40), hold: kinds[random.IntN(len(kinds))]}
					share := patient
					share.Weight = 1 + random.Int64N(8)
					switch kind := random.IntN(4); {
					case kind == 0:
						share.Dedicated = random.Int64N(3)
					case kind == 1 && seed%2 == 0:
						share.Max = 1 + random.Int64N(capacity)
					case kind == 1:
						l.most = 3
					}
					loads, shares, all[l.id] = append(loads, l), append(shares, share), share
				}
				s := newTable(t, capacity, all)
				outcomes := measure(t, s, loads...)
				var used float64
				for _, o := range outcomes {
					used += o.units
				}
				for i, want := range division(used, shares) {
					got := outcomes[loads[i].id]
					t.Logf("most %d, weight %d, dedicated %d, max %d: want %6.3f, have %v", loads[i].most, shares[i].Weight, shares[i].Dedicated, shares[i].Max, want, got)
					assert.InDelta(t, want, got.units, 0.2+0.05*want, loads[i].id)
				}
				assert.InDelta(t, capacity, used, 0.15*float64(capacity), "units idle while somebody waits")
				assert.Zero(t, s.Stats().Held)
			})
		})
	}
}

// More tenants than are looked at for one grant, with long and short jobs.
func TestManyTenants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var loads []load
		for i := range 70 {
			loads = append(loads, load{id: tenant.ID(fmt.Sprintf("t%d", i)), workers: 2, hold: []lasting{uneven, exponential}[i%2]})
		}
		for id, o := range measure(t, newScheduler(t, 35, patient), loads...) {
			assert.InDelta(t, 0.5, o.units, 0.05, id)
		}
	})
}

// Requests for all units get their part although small ones keep coming, and are never
// behind for ever. What is idle while units are kept for them is nobody's.
func TestBigRequestsAreNotStarved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := measure(t, newScheduler(t, 10, patient), load{id: "big", workers: 2, least: 10, hold: uneven},
			load{id: "small", workers: 100, hold: uneven}, load{id: "other", workers: 100, hold: uneven})
		var used float64
		for id, o := range all {
			t.Logf("%s: %v", id, o)
			used += o.units
		}
		for id, o := range all {
			assert.InDelta(t, used/3, o.units, 0.1, id)
		}
		assert.Greater(t, used, 6.0)
	})
}

// Who had more than its part while others waited stands behind, also after it was away.
func TestGoingIdleGainsNothing(t *testing.T) {
	for _, opts := range [][]fairshare.Option{nil, {fairshare.WithIdle(0)}} {
		synctest.Test(t, func(t *testing.T) {
			s := newScheduler(t, 2, patient, opts...)
			had := []*fairshare.Hold{must(t, s, "a", 1), must(t, s, "a", 1)}
			b := &bench{s: s, ctx: t.Context(), outcomes: map[tenant.ID]*outcome{"a": {}, "b": {}}}
			stop := b.start(t, load{id: "b", workers: 10, hold: uneven})
			time.Sleep(time.Second) // in which a has two unit-seconds while b waits
			had[0].Release()
			had[1].Release()
			time.Sleep(300 * time.Millisecond) // in which a is away
			stopA := b.start(t, load{id: "a", workers: 10, hold: uneven})
			before := s.Stats().UnitSeconds
			time.Sleep(600 * time.Millisecond)
			assert.InDelta(t, 1.8, s.Stats().Tenants["b"].UnitSeconds, 0.05, "a had two unit-seconds before")
			time.Sleep(2100 * time.Millisecond)
			assert.InDelta(t, 4, s.Stats().Tenants["b"].UnitSeconds, 0.1, "both have two more")
			assert.InDelta(t, 2*2.7, s.Stats().UnitSeconds-before, 0.001, "no unit was idle")
			stopA()
			stop()
			b.group.Wait()
			assert.Zero(t, s.Stats().Held)
		})
	}
}

// Who was away for an hour has saved up nothing.
func TestNewcomersHaveSavedUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduler(t, 10, patient)
		must(t, s, "late", 1).Release()
		first := measure(t, s, load{id: "early", workers: 20, hold: uneven})
		assert.InDelta(t, 10, first["early"].units, 0.001)
		both := measure(t, s, load{id: "early", workers: 20, hold: uneven}, load{id: "late", workers: 20, hold: uneven})
		assert.InDelta(t, 5, both["early"].units, 0.1)
	})
}

// What nobody else wanted costs nothing later.
func TestIdleUnitsAreFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduler(t, 10, patient)
		var holds []*fairshare.Hold
		for range 10 {
			holds = append(holds, must(t, s, "alone", 1))
		}
		time.Sleep(time.Hour)
		go func() {
			time.Sleep(usual)
			for _, hold := range holds {
				hold.Release()
			}
		}()
		both := measure(t, s, load{id: "alone", workers: 20, hold: uneven}, load{id: "late", workers: 20, hold: uneven})
		assert.InDelta(t, 5, both["alone"].units, 0.1)
		assert.InDelta(t, 5, both["late"].units, 0.1)
	})
}
