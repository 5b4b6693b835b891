package redisquota

import (
	"context"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/redis/go-redis/v9"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// Store is a quota.Store on Redis. It is safe for concurrent use.
type Store struct {
	client redis.UniversalClient
	terms  *lru.Cache[*quota.Terms, *words]
	config
}

var _ quota.Batcher = (*Store)(nil)

// New returns a Store whose data are in client's Redis. The host closes the client, after
// the last use of the Store.
//
// A [redis.Client], [redis.ClusterClient] or [redis.Ring] must have the option
// ContextTimeoutEnabled, without which a server that hangs would hold calls for longer
// than their context lets them. Errors wrap [quota.ErrInvalid].
func New(client redis.UniversalClient, opts ...Option) (*Store, error) {
	c := config{prefix: "tenancy:quota", retries: true}
	for _, opt := range opts {
		opt(&c)
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	if err := checkClient(client); err != nil {
		return nil, err
	}
	terms, err := lru.New[*quota.Terms, *words](rememberedTerms)
	if err != nil {
		return nil, fmt.Errorf("redisquota: %w", err)
	}
	return &Store{client: client, terms: terms, config: c}, nil
}

// checkClient refuses clients that do not heed the deadline of a context.
func checkClient(client redis.UniversalClient) error {
	heeds := true // who wrote a client of another type knows
	switch c := client.(type) {
	case nil:
		return fmt.Errorf("%w: redisquota: nil client", quota.ErrInvalid)
	case *redis.Client:
		heeds = c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		heeds = c.Options().ContextTimeoutEnabled
	case *redis.Ring:
		heeds = c.Options().ContextTimeoutEnabled
	}
	if !heeds {
		return fmt.Errorf("%w: redisquota: want a client with the option ContextTimeoutEnabled", quota.ErrInvalid)
	}
	return nil
}

// Take implements [quota.Store].
func (s *Store) Take(ctx context.Context, t quota.Taking) (quota.Taken, error) {
	r, err := s.checked(ctx, t)
	if err != nil {
		return quota.Taken{}, err
	}
	text, err := r.run(ctx, s.client).Text()
	if s.retries && broken(err) && ctx.Err() == nil {
		text, err = r.run(ctx, s.client).Text()
	}
	return takenOf(text, err)
}

func takenOf(text string, err error) (quota.Taken, error) {
	if err != nil {
		return quota.Taken{}, unavailable("take", err)
	}
	return parseTaken(text)
}

// Lane implements [quota.Batcher]. It is the address of the tenant's master in a cluster,
// as far as that is known.
func (s *Store) Lane(ctx context.Context, id tenant.ID) string {
	cluster, is := s.client.(*redis.ClusterClient)
	if !is {
		return ""
	}
	master, err := cluster.MasterForKey(ctx, s.answerKey(id, ""))
	if err != nil {
		return ""
	}
	return master.Options().Addr
}

// TakeBatch implements [quota.Batcher]: in as few round trips as there are servers. In a
// cluster all that is asked of several masters fails where one of them hangs.
func (s *Store) TakeBatch(ctx context.Context, takings []quota.Taking) []quota.Answer {
	answers := make([]quota.Answer, len(takings))
	requests, of := make([]request, 0, len(takings)), make([]int, 0, len(takings))
	for i, t := range takings {
		r, err := s.checked(ctx, t)
		if answers[i].Err = err; err == nil {
			requests, of = append(requests, r), append(of, i)
		}
	}
	call := func(some []request) []*redis.Cmd { return runAll(ctx, s.client, some) }
	cmds := call(requests)
	if s.retries && ctx.Err() == nil {
		again(cmds, requests, broken, call)
	}
	for n, cmd := range cmds {
		answers[of[n]].Taken, answers[of[n]].Err = takenOf(cmd.Text())
	}
	return answers
}

// checked returns the request of t, if there is nothing to say against it.
func (s *Store) checked(ctx context.Context, t quota.Taking) (request, error) {
	if err := t.Validate(); err != nil {
		return request{}, err
	}
	if err := ctx.Err(); err != nil {
		return request{}, err
	}
	return s.taking(t)
}

// now returns the client's time, which only says which calendar periods are near.
func (s *Store) now() time.Time {
	if s.clock != nil {
		return s.clock()
	}
	return time.Now()
}
