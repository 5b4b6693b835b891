package sqlquota

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tenancy-go/tenancy/quota"
)

// counter is a counter as the database keeps it. What is done with it here, on SQLite,
// the functions of the migrations do on PostgreSQL.
type counter struct {
	Tenant  string  `db:"tenant" json:"tenant"`
	Kind    string  `db:"kind" json:"kind"`
	Name    string  `db:"name" json:"name"`
	Key     string  `db:"key" json:"key"`
	Used    int64   `db:"used" json:"used"`
	Arrival int64   `db:"arrival" json:"arrival"`
	Kept    int64   `db:"kept" json:"kept"`
	Windows states  `db:"windows" json:"windows"`
	Holders holders `db:"holders" json:"holders"`
	FreshAt *int64  `db:"fresh_at" json:"fresh_at"`
}

func newCounter(tenant string, name ref) *counter {
	return &counter{
		Tenant: tenant, Kind: string(name.Kind), Name: name.Name, Key: name.Key,
		Windows: make(states), Holders: make(holders),
	}
}

// states are those of the windows, by key.
type states map[string]state

// Scan implements sql.Scanner.
func (s *states) Scan(value any) error { return scanJSON(value, s) }

// Value implements driver.Valuer.
func (s states) Value() (driver.Value, error) { return valueJSON(s) }

// holders are the processes that hold units, each with their number and the time until
// which it holds them.
type holders map[string][2]int64

// Scan implements sql.Scanner.
func (h *holders) Scan(value any) error { return scanJSON(value, h) }

// Value implements driver.Valuer.
func (h holders) Value() (driver.Value, error) { return valueJSON(h) }

func scanJSON(value, to any) error {
	switch v := value.(type) {
	case string:
		return json.Unmarshal([]byte(v), to)
	case []byte:
		return json.Unmarshal(v, to)
	default:
		return fmt.Errorf("want JSON, got %T", value)
	}
}

func valueJSON(from any) (driver.Value, error) {
	data, err := json.Marshal(from)
	return string(data), err
}

// freshAt returns from when on c is as a new counter, or nil for never.
func (c *counter) freshAt() *int64 {
	at := c.Arrival
	switch quota.Kind(c.Kind) {
	case quota.Stock:
		return nil
	case quota.Concurrent:
		for _, h := range c.Holders {
			at = max(at, h[1])
		}
	default:
		for _, s := range c.Windows {
			at = max(at, s[0])
		}
	}
	return &at
}

// roll rolls the windows to now, and begins those that c lacks. It reports whether that
// changed anything.
func (c *counter) roll(windows []window, now int64) (bool, error) {
	changed := false
	for _, w := range windows {
		before := c.Windows[w.Key]
		after, err := w.roll(before, c.Used, now)
		if err != nil {
			return changed, err
		}
		c.Windows[w.Key] = after
		changed = changed || before == nil || before[1] != after[1] || before[0] != after[0]
	}
	return changed, nil
}

// level returns what is used of c at now, of which c has what was used last.
func (c *counter) level(t terms, now int64) (quota.Level, error) {
	if quota.Kind(c.Kind) != quota.Rate {
		return quota.Level{Used: c.live(now)}, nil
	}
	if _, err := c.roll(t.Windows, now); err != nil {
		return quota.Level{}, err
	}
	var level quota.Level
	for _, w := range t.Windows {
		s := c.Windows[w.Key]
		top, _ := w.ceiling(s, now)
		level.Windows = append(level.Windows, quota.WindowLevel{
			Used: c.Used - (top - w.Limit), Resets: time.Unix(0, w.reset(s, now)).UTC(),
		})
	}
	return level, nil
}
