package redisquota

import (
	"strconv"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// The names of keys begin with the prefix and the tenant in braces, so that all keys of
// a tenant are in one slot of a Redis Cluster. Then comes what the key is:
//
//	tenancy:quota:{acme}:rate:8:requests:        the limit's length, the limit, the key
//	tenancy:quota:{acme}:held:7:streams:user-1
//	tenancy:quota:{acme}:stock:7:storage:
//	tenancy:quota:{acme}:answer:01J…             the Taking's ID
//
// No two counters share one, whatever their texts: tenants have no braces, and the length
// says where the limit ends.
func (s *Store) answerKey(id tenant.ID, taking string) string {
	return s.prefix + ":{" + string(id) + "}:answer:" + taking
}

func (s *Store) counterKey(id tenant.ID, c quota.Counter) string {
	return s.prefix + ":{" + string(id) + "}:" + kindName(c.Terms.Kind) + ":" + strconv.Itoa(len(c.Limit)) + ":" + c.Limit + ":" + c.Key
}

func kindName(kind quota.Kind) string {
	switch kind {
	case quota.Rate:
		return "rate"
	case quota.Concurrent:
		return "held"
	default:
		return "stock"
	}
}
