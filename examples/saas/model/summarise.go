package model

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"unicode"
)

// Summarise picks the sentences that say most of what a text says. A word counts
// the more often it appears, common words not at all; a sentence is worth what
// its words count on average, with a bonus for opening the text.
type Summarise struct{}

// Name returns "summarise".
func (Summarise) Name() string { return "summarise" }

// About describes the model.
func (Summarise) About() string { return "Picks the sentences that matter" }

// Reply summarises the user's last message.
func (Summarise) Reply(ctx context.Context, turns []Turn) (string, error) {
	text, ok := lastOf(turns, User)
	if !ok {
		return "", ErrNothingSaid
	}
	return Summary(text), ctx.Err()
}

// Limits of a summary: a third of the sentences, but at most maxPicked.
const (
	maxPicked    = 5
	oneInPicked  = 3
	openingBonus = 1.25
)

// Summary returns the most telling sentences of text, in their order. A text of
// one or two sentences is returned whole.
func Summary(text string) string {
	all := sentences(text)
	if len(all) <= 2 {
		return strings.Join(all, " ")
	}
	picked := pick(all, min(maxPicked, max(1, len(all)/oneInPicked)))
	return strings.Join(picked, " ")
}

// pick returns the n best of all, in their order. Once a sentence is taken, its
// words count less, so that the next one says something else.
func pick(all []string, n int) []string {
	words := make([][]string, len(all))
	for i, s := range all {
		words[i] = keywords(s)
	}
	weight := weights(words)

	taken := make([]int, 0, n)
	for len(taken) < n {
		best := bestOf(words, weight, taken)
		taken = append(taken, best)
		for _, w := range words[best] {
			weight[w] *= weight[w]
		}
	}
	slices.Sort(taken)
	picked := make([]string, n)
	for i, at := range taken {
		picked[i] = all[at]
	}
	return picked
}

// weights returns how often each word appears, as a share of the most frequent.
func weights(words [][]string) map[string]float64 {
	count := make(map[string]float64)
	most := 1.0
	for _, sentence := range words {
		for _, w := range sentence {
			count[w]++
			most = max(most, count[w])
		}
	}
	for w := range count {
		count[w] /= most + 1 // below 1, so that squaring always lowers it
	}
	return count
}

// bestOf returns the index of the best sentence that is not taken; the first of
// equals.
func bestOf(words [][]string, weight map[string]float64, taken []int) int {
	best, bestScore := -1, math.Inf(-1)
	for i, sentence := range words {
		if slices.Contains(taken, i) {
			continue
		}
		if score := scoreOf(sentence, weight, i); score > bestScore {
			best, bestScore = i, score
		}
	}
	return best
}

func scoreOf(sentence []string, weight map[string]float64, position int) float64 {
	var sum float64
	for _, w := range sentence {
		sum += weight[w]
	}
	// Short sentences would win by their average alone; eight words is a full one.
	score := sum / float64(max(len(sentence), 8))
	if position == 0 {
		score *= openingBonus
	}
	return score
}

// keywords returns the words of s that carry meaning, in lower case and without
// a plural's s.
func keywords(s string) []string {
	fields := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && r != '\''
	})
	kept := fields[:0]
	for _, w := range fields {
		w = strings.Trim(w, "'")
		if len(w) < 3 || stopWords[w] {
			continue
		}
		kept = append(kept, stem(w))
	}
	return kept
}

func stem(w string) string {
	w = strings.TrimSuffix(w, "'s")
	if len(w) > 3 && strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss") {
		return w[:len(w)-1]
	}
	return w
}

// Keywords returns up to n words that text uses most, the most frequent first and
// equals by the alphabet: enough for a title.
func Keywords(text string, n int) []string {
	count := make(map[string]int)
	for _, w := range keywords(text) {
		count[w]++
	}
	found := make([]string, 0, len(count))
	for w := range count {
		found = append(found, w)
	}
	slices.SortFunc(found, func(a, b string) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b))
	})
	return found[:min(n, len(found))]
}
