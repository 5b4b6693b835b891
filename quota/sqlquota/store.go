package sqlquota

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// Take implements [quota.Store]. If the connection breaks, it asks once more with the
// same ID, which counts once.
func (s *Store) Take(ctx context.Context, t quota.Taking) (quota.Taken, error) {
	if err := t.Validate(); err != nil {
		return quota.Taken{}, err
	}
	if err := ctx.Err(); err != nil {
		return quota.Taken{}, failed(ctx, "take", err)
	}
	r := newRequest(t)
	taken, err := s.take(ctx, r)
	if err != nil && broken(err) && ctx.Err() == nil {
		taken, err = s.take(ctx, r)
	}
	return taken, failed(ctx, "take", err)
}

func (s *Store) take(ctx context.Context, r *request) (quota.Taken, error) {
	if s.dialect == SQLite {
		return s.takeSQLite(ctx, r)
	}
	r.Now = s.injected()
	r.setEnds(s.clock())
	data, err := s.call(ctx, "tenancy_quota_take", r)
	if err != nil {
		return quota.Taken{}, err
	}
	return readAnswer(data)
}

// renewal is what a process holds, as the function in PostgreSQL reads it.
type renewal struct {
	Holder string `json:"holder"`
	TTL    int64  `json:"ttl"`
	Now    int64  `json:"now,omitempty"`
	Held   []held `json:"held"`
}

type held struct {
	Tenant string `json:"tenant"`
	ref
	N int64 `json:"n"`
}

// renewBatch bounds how many tenants wait for one statement, and the locks it takes.
const renewBatch = 250

// Renew implements [quota.Store]. It is one statement for up to 250 counters, and one
// more for each further 250.
func (s *Store) Renew(ctx context.Context, holder string, ttl time.Duration, all []quota.Held) error {
	if err := quota.ValidateRenew(holder, ttl, all); err != nil {
		return err
	}
	r := renewal{Holder: text(holder), TTL: int64(ttl)}
	for _, h := range all {
		if h.Counter.Terms.Kind != quota.Rate {
			r.Held = append(r.Held, held{string(h.Tenant), newRef(h.Counter), h.N})
		}
	}
	if err := ctx.Err(); err != nil {
		return failed(ctx, "renew", err)
	}
	for rest := r.Held; len(rest) > 0; rest = rest[len(r.Held):] {
		r.Held = rest[:min(len(rest), renewBatch)]
		if err := s.renew(ctx, r); err != nil {
			return failed(ctx, "renew", err)
		}
	}
	return nil
}

func (s *Store) renew(ctx context.Context, r renewal) error {
	if s.dialect == SQLite {
		return s.renewSQLite(ctx, r)
	}
	r.Now = s.injected()
	_, err := s.call(ctx, "tenancy_quota_renew", r)
	return err
}

// Read implements [quota.Store].
func (s *Store) Read(ctx context.Context, id tenant.ID, counters []quota.Counter) ([]quota.Level, error) {
	r, err := reading(id, counters)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, failed(ctx, "read", err)
	}
	now, kept, err := s.read(ctx, r)
	if err != nil {
		return nil, failed(ctx, "read", err)
	}
	levels := make([]quota.Level, len(counters))
	for i, c := range r.Charges {
		levels[i] = kept[c.Slot].level(c.terms, now)
	}
	return levels, nil
}

// read returns the time, and the counters that r names.
func (s *Store) read(ctx context.Context, r *request) (int64, []*counter, error) {
	if s.dialect == SQLite {
		kept, err := loadSQLite(ctx, s.db, r)
		return s.millisecond(), kept, err
	}
	r.Now = s.injected()
	data, err := s.call(ctx, "tenancy_quota_read", r)
	if err != nil {
		return 0, nil, err
	}
	var found struct {
		Now      int64      `json:"now"`
		Counters []*counter `json:"counters"`
	}
	err = json.Unmarshal(data, &found)
	return found.Now, found.Counters, err
}

// clock returns the time of this process.
func (s *Store) clock() time.Time {
	if s.now != nil {
		return s.now()
	}
	return time.Now()
}

// millisecond returns the time of this process to the millisecond.
func (s *Store) millisecond() int64 {
	const millisecond = int64(time.Millisecond)
	return s.clock().UnixNano() / millisecond * millisecond
}

// injected returns the time of WithClock, or 0 for that of the database.
func (s *Store) injected() int64 {
	if s.now == nil {
		return 0
	}
	return s.millisecond()
}
