package sqlquota

import (
	"time"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/internal/count"
)

// counter is a counter as the database keeps it. What is done with it here, on SQLite,
// the functions of the migrations do on PostgreSQL.
type counter struct {
	ref
	count.Counter
}

// freshAt returns from when on c is as a new counter, or nil for never.
func (c *counter) freshAt() *int64 {
	at := c.FreshAt(string(c.Kind))
	if at == count.Never {
		return nil
	}
	return &at
}

// level returns what is used of c at now, of which c has what was used last.
func (c *counter) level(t terms, now int64) quota.Level {
	used := c.Level(&t.spec, now)
	level := quota.Level{Used: used.Used}
	for _, w := range used.Windows {
		level.Windows = append(level.Windows, quota.WindowLevel{Used: w.Used, Resets: time.Unix(0, w.Resets).UTC()})
	}
	return level
}
