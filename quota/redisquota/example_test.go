package redisquota_test

import (
	"log"

	"github.com/redis/go-redis/v9"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/redisquota"
)

// An example that needs a server, and so is only compiled.
func ExampleNew() {
	client := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs:                 []string{"redis-1:6379", "redis-2:6379", "redis-3:6379"}, // one: a single server
		ContextTimeoutEnabled: true,
	})
	defer func() { _ = client.Close() }()
	store, err := redisquota.New(client)
	if err != nil {
		log.Fatal(err)
	}
	var _ quota.Store = store // for an Enforcer
}
