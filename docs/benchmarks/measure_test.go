package benchmarks

import (
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"
)

// The measuring plan: in each round every contender runs for a slice of time, in
// an order that rotates, so that what else the machine does falls on all alike.
const (
	rounds = 11
	slice  = 120 * time.Millisecond
)

// contender is one way to do the same work. The first of a list is the baseline.
type contender struct {
	name string
	// op does the work once. worker and i tell which of the goroutines calls it,
	// and how often it did before.
	op func(worker, i int) error
	// batch is how often op does the work, if it is more than once.
	batch int
}

// result is what a contender needed, against the baseline in the same round.
type result struct {
	name  string
	nanos float64 // per operation, median of the rounds
	ratio float64 // to the baseline, median of the rounds
}

// compare runs the contenders with so many goroutines each.
func compare(b *testing.B, workers int, contenders ...contender) []result {
	b.Helper()
	nanos := make([][]float64, len(contenders))
	counters := make([][]int, len(contenders))
	for c := range contenders {
		counters[c] = make([]int, workers)
		run(b, contenders[c], workers, counters[c], slice/4) // warm up
	}
	for round := range rounds {
		for turn := range contenders {
			c := (round + turn) % len(contenders)
			nanos[c] = append(nanos[c], run(b, contenders[c], workers, counters[c], slice))
		}
	}
	results := make([]result, len(contenders))
	for c := range contenders {
		ratios := make([]float64, rounds)
		for round := range rounds {
			ratios[round] = nanos[c][round] / nanos[0][round]
		}
		results[c] = result{contenders[c].name, median(nanos[c]), median(ratios)}
	}
	return results
}

// run returns the nanoseconds that one operation took of the whole.
func run(b *testing.B, c contender, workers int, counters []int, d time.Duration) float64 {
	b.Helper()
	var ops atomic.Int64
	var failed atomic.Value
	var wg sync.WaitGroup
	start := time.Now()
	for w := range workers {
		wg.Go(func() {
			for n := 0; ; n++ {
				if n%8 == 0 && (time.Since(start) >= d || failed.Load() != nil) {
					ops.Add(int64(n))
					return
				}
				if err := c.op(w, counters[w]); err != nil {
					failed.Store(err)
				}
				counters[w]++
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	if err, ok := failed.Load().(error); ok {
		b.Fatalf("%s: %v", c.name, err)
	}
	return float64(elapsed.Nanoseconds()) / float64(ops.Load()) / float64(max(1, c.batch))
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// table prints results as a Markdown table, a line per kind of work.
type table struct {
	title string
	names []string
	lines []line
}

type line struct {
	label   string
	results []result
}

func (t *table) add(label string, results []result) {
	if t.names == nil {
		for _, r := range results {
			t.names = append(t.names, r.name)
		}
	}
	t.lines = append(t.lines, line{label, results})
}

// addMean adds a line with the geometric means of the times so far, and of their
// ratios to the baseline's.
func (t *table) addMean() {
	means := make([]result, len(t.names))
	for c, name := range t.names {
		logs := 0.0
		for _, l := range t.lines {
			logs += math.Log(l.results[c].nanos)
		}
		means[c] = result{name: name, nanos: math.Exp(logs / float64(len(t.lines)))}
		means[c].ratio = means[c].nanos / means[0].nanos
	}
	t.add("geometric mean", means)
}

// print writes the table, and appends it to the file that BENCH_OUT names, if any.
func (t *table) print(b *testing.B) {
	b.Helper()
	t.write(os.Stdout)
	path := os.Getenv("BENCH_OUT")
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	t.write(f)
}

func (t *table) write(w io.Writer) {
	fmt.Fprintf(w, "\n### %s\n\n", t.title)
	columns := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintf(columns, "| \t| %s\t|\n", strings.Join(t.names, "\t| "))
	fmt.Fprintf(columns, "|---\t|%s\n", strings.Repeat("---:\t|", len(t.names)))
	for _, l := range t.lines {
		fmt.Fprintf(columns, "| %s\t", l.label)
		for c, r := range l.results {
			if c == 0 {
				fmt.Fprintf(columns, "| %s = 1\t", time.Duration(r.nanos).Round(resolution(r.nanos)))
				continue
			}
			fmt.Fprintf(columns, "| %s\t", ratio(r.ratio))
		}
		fmt.Fprintln(columns, "|")
	}
	_ = columns.Flush()
}

func ratio(r float64) string {
	if r < 0.1 {
		return fmt.Sprintf("%.4f", r)
	}
	return fmt.Sprintf("%.2f", r)
}

func resolution(nanos float64) time.Duration {
	if nanos < 10_000 {
		return time.Nanosecond
	}
	return time.Microsecond
}
