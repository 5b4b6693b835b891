package quota_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
)

func keyed(t testing.TB, clock *testClock, maxKeys int64, windows ...quota.Window) *quota.KeyedLimiter {
	t.Helper()
	limiter, err := quota.NewKeyedLimiter(quota.Limit{Windows: windows}, quota.KeyedClock(clock.Now), quota.MaxKeys(maxKeys))
	require.NoError(t, err)
	return limiter
}

func TestKeysAreSeparate(t *testing.T) {
	t.Parallel()
	limiter := keyed(t, newTestClock(noon), 100_000, quota.Window{Per: quota.Hour, Limit: 3})
	for range 3 {
		for i := range 20_000 {
			require.True(t, limiter.Take(fmt.Sprint(i), 1).OK)
		}
	}
	for i := range 20_000 {
		require.False(t, limiter.Take(fmt.Sprint(i), 1).OK)
	}
	assert.Equal(t, 20_000, limiter.Len())
}

// TestKeysTogether lets many count for the same keys while the table grows.
func TestKeysTogether(t *testing.T) {
	t.Parallel()
	const keys, limit = 3000, 20
	limiter := keyed(t, newTestClock(noon), 100_000, quota.Window{Per: quota.Hour, Limit: limit}, quota.Window{Per: quota.Day, Limit: 1000})
	var taken [keys]atomic.Int64
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(worker), 4))
			for range runs(10_000, 30_000) {
				key := rnd.IntN(keys)
				if limiter.Take(fmt.Sprint(key), 1).OK {
					taken[key].Add(1)
				}
			}
		})
	}
	wg.Wait()
	for key := range taken {
		for limiter.Take(fmt.Sprint(key), 1).OK {
			taken[key].Add(1)
		}
		require.Equal(t, int64(limit), taken[key].Load())
	}
}

// TestFloodOfKeys invents keys by the hundred thousand: memory stays bounded, those
// who were there before notice nothing, and nobody gets one more than its limit.
func TestFloodOfKeys(t *testing.T) {
	t.Parallel()
	clock := newTestClock(noon)
	limiter := keyed(t, clock, 1000, quota.Window{Per: quota.Hour, Limit: 10})
	known := func(i int) string { return fmt.Sprintf("known-%d", i) }
	for i := range 100 {
		for range 5 {
			require.True(t, limiter.Take(known(i), 1).OK)
		}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	taken := make(map[string]int)
	for i := range runs(100_000, 300_000) {
		key := fmt.Sprintf("invented-%d", i%50_000)
		if limiter.Take(key, 1).OK {
			taken[key]++
		}
		if i%1000 == 0 {
			clock.Advance(time.Second)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	assert.LessOrEqual(t, limiter.Len(), 1000)
	t.Logf("heap grew by %d KB", (int64(after.HeapAlloc)-int64(before.HeapAlloc))>>10)
	for key, n := range taken {
		require.LessOrEqual(t, n, 10, key)
	}
	for i := range 100 {
		for n := range 6 {
			require.Equal(t, n < 5, limiter.Take(known(i), 1).OK, "%s had five before the flood", known(i))
		}
	}

	clock.Advance(2 * time.Hour) // all is forgotten
	for i := range 1000 {
		require.True(t, limiter.Take(fmt.Sprintf("new-%d", i), 1).OK)
	}
	assert.LessOrEqual(t, limiter.Len(), 1000)
}

// TestRoomThatIsFreeAgain spends in a shared counter, and asks again when there is
// room for one's own.
func TestRoomThatIsFreeAgain(t *testing.T) {
	t.Parallel()
	clock := newTestClock(noon)
	limiter := keyed(t, clock, 8, quota.Window{Per: quota.Hour, Limit: 10}, quota.Window{Per: quota.Day, Limit: 12})
	for i := range 8 {
		limiter.Take(fmt.Sprintf("first-%d", i), 1)
	}
	clock.Advance(47 * time.Hour)
	taken := 0
	for limiter.Take("late", 1).OK {
		taken++
	}
	require.Equal(t, 10, taken)
	clock.Advance(90 * time.Minute) // those of the first are fresh now, and late's is not
	for i := range 8 {
		limiter.Take(fmt.Sprintf("second-%d", i), 1)
		for limiter.Take("late", 1).OK {
			taken++
		}
	}
	assert.LessOrEqual(t, taken, 12, "the day remembers")
}

// TestRecycledCells lets keys come and go while windows pass, from many goroutines,
// and checks the sum of what each key was given in each hour.
func TestRecycledCells(t *testing.T) {
	t.Parallel()
	clock := newTestClock(noon)
	limiter := keyed(t, clock, 64, quota.Window{Per: quota.Hour, Limit: 5, Roll: quota.Strict})
	const keys = 40
	for round := range 200 {
		var taken [keys]atomic.Int64
		var wg sync.WaitGroup
		for worker := range 4 {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(worker), uint64(round)))
				for range 300 {
					key := rnd.IntN(keys)
					if limiter.Take(fmt.Sprint(round, key), 1).OK {
						taken[key].Add(1)
					}
				}
			})
		}
		wg.Wait()
		for key := range taken {
			require.LessOrEqual(t, taken[key].Load(), int64(5))
		}
		clock.Advance(2 * time.Hour)
	}
	assert.LessOrEqual(t, limiter.Len(), 64)
}

func TestKeyedLimiterIsChecked(t *testing.T) {
	t.Parallel()
	for _, limit := range []quota.Limit{
		{}, {Kind: quota.Stock, Max: 1}, {Windows: []quota.Window{{Per: "x", Limit: 1}}},
		{Windows: []quota.Window{{Per: quota.Minute, Limit: 1}}, Warn: 2},
	} {
		_, err := quota.NewKeyedLimiter(limit)
		assert.ErrorIs(t, err, quota.ErrInvalid)
	}
	_, err := quota.NewKeyedLimiter(quota.Limit{Windows: []quota.Window{{Per: quota.Minute, Limit: 1}}}, quota.MaxKeys(0))
	assert.Error(t, err)
	limiter := keyed(t, newTestClock(noon), 10, quota.Window{Per: quota.Minute, Limit: 1})
	assert.ErrorIs(t, limiter.Take("x", -1).Err(), quota.ErrInvalid)
}
