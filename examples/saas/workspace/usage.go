package workspace

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"
)

// kind says what was used.
type kind string

const (
	kindPrompt   kind = "prompt"
	kindSummary  kind = "summary"
	kindDocument kind = "document"
)

// event is one use of the workspace, as it is counted.
type event struct {
	kind     kind
	model    string // empty for documents
	wordsIn  int
	wordsOut int
}

// record writes e in the transaction of what it counts: either both are kept, or
// neither.
func (w *Workspace) record(ctx context.Context, tx *sql.Tx, e event) error {
	now := w.now().UTC()
	_, err := tx.ExecContext(ctx,
		`INSERT INTO usage_events (id, day, kind, model, words_in, words_out, created_at)
		 VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		newID(), now.Format(time.DateOnly), string(e.kind), e.model, e.wordsIn, e.wordsOut, stamp(now))
	if err != nil {
		return fmt.Errorf("workspace: record usage: %w", err)
	}
	return nil
}

// Count sums up uses.
type Count struct {
	Prompts   int // prompts in conversations
	Summaries int // summaries of documents
	Documents int // documents added, whether they still exist or not
	WordsIn   int // words given to models, or kept in documents
	WordsOut  int // words that models wrote
}

// Words is the sum of words in and out.
func (c Count) Words() int { return c.WordsIn + c.WordsOut }

func (c *Count) add(k kind, n, wordsIn, wordsOut int) {
	switch k {
	case kindPrompt:
		c.Prompts += n
	case kindSummary:
		c.Summaries += n
	case kindDocument:
		c.Documents += n
	}
	c.WordsIn += wordsIn
	c.WordsOut += wordsOut
}

// Usage is what a tenant used over some days.
type Usage struct {
	Total  Count
	Days   []DayCount   // every day, oldest first; today last
	Models []ModelCount // by name
}

// NewestFirst returns the days from today backwards.
func (u Usage) NewestFirst() []DayCount {
	days := slices.Clone(u.Days)
	slices.Reverse(days)
	return days
}

// DayCount is the use of one day (UTC).
type DayCount struct {
	Day time.Time
	Count
}

// ModelCount is the use of one model.
type ModelCount struct {
	Model string
	Count
}

// sum is the sum of the stored rows of one day, model and kind.
type sum struct {
	day, model           string
	kind                 kind
	n, wordsIn, wordsOut int
}

func scanSum(r row) (sum, error) {
	var s sum
	err := r.Scan(&s.day, &s.model, &s.kind, &s.n, &s.wordsIn, &s.wordsOut)
	return s, err
}

// Usage returns what was used in the given number of days up to today (UTC).
func (w *Workspace) Usage(ctx context.Context, days int) (Usage, error) {
	today := w.now().UTC().Truncate(24 * time.Hour)
	first := today.AddDate(0, 0, 1-days)
	sums, err := list(ctx, w.db, scanSum,
		`SELECT day, model, kind, COUNT(*), SUM(words_in), SUM(words_out) FROM usage_events
		 WHERE day BETWEEN $1 AND $2 GROUP BY day, model, kind ORDER BY model`,
		first.Format(time.DateOnly), today.Format(time.DateOnly))
	if err != nil {
		return Usage{}, err
	}
	u := Usage{Days: make([]DayCount, days)}
	byDay := make(map[string]*DayCount, days)
	for i := range u.Days {
		u.Days[i].Day = first.AddDate(0, 0, i)
		byDay[u.Days[i].Day.Format(time.DateOnly)] = &u.Days[i]
	}
	for _, s := range sums {
		u.Total.add(s.kind, s.n, s.wordsIn, s.wordsOut)
		byDay[s.day].add(s.kind, s.n, s.wordsIn, s.wordsOut)
		if s.model != "" {
			u.model(s.model).add(s.kind, s.n, s.wordsIn, s.wordsOut)
		}
	}
	return u, nil
}

func (u *Usage) model(name string) *ModelCount {
	i := slices.IndexFunc(u.Models, func(m ModelCount) bool { return m.Model == name })
	if i < 0 {
		u.Models = append(u.Models, ModelCount{Model: name})
		i = len(u.Models) - 1
	}
	return &u.Models[i]
}
