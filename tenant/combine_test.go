package tenant_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/tenant"
)

// says is a resolver with one answer: a Ref, a Match or an error.
func says(answer any) tenant.Resolver {
	return tenant.ResolverFunc(func(*http.Request) (tenant.Match, error) {
		switch answer := answer.(type) {
		case tenant.Ref:
			return tenant.Match{Ref: answer}, nil
		case tenant.Match:
			return answer, nil
		default:
			return tenant.Match{}, answer.(error)
		}
	})
}

func TestFirst(t *testing.T) {
	t.Parallel()
	var (
		down  = errors.New("key store is down")
		never = tenant.ResolverFunc(func(*http.Request) (tenant.Match, error) {
			t.Error("asked, though an earlier resolver has decided")
			return tenant.Match{}, nil
		})
		none = says(tenant.ErrNoTenant)
		a, b = tenant.BySlug("acme"), tenant.BySlug("beta")
	)
	tests := []struct {
		name     string
		resolver tenant.Resolver
		want     any
	}{
		{"first names", tenant.First(says(a), never), a},
		{"second names", tenant.First(none, says(b), never), b},
		{"none names", tenant.First(none, none), tenant.ErrNoTenant},
		{"zero match names none", tenant.First(says(tenant.Match{}), says(b)), b},
		{"wrapped ErrNoTenant", tenant.First(says(tenant.ErrSystem), says(b)), b},
		{"malformed ends it", tenant.First(says(tenant.ErrInvalid), never), tenant.ErrInvalid},
		{"malformed ID ends it", tenant.First(none, says(tenant.ErrInvalidID), never), tenant.ErrInvalidID},
		{"disagreement ends it", tenant.First(says(tenant.ErrDisagree), never), tenant.ErrDisagree},
		{"failure ends it", tenant.First(says(down), never), down},
		{"nested", tenant.First(tenant.First(none), tenant.First(none, says(b)), never), b},
		{"match is passed whole", tenant.First(says(tenant.Match{Ref: a, Also: []tenant.Ref{b}, Prefix: "/t/acme"})),
			tenant.Match{Ref: a, Also: []tenant.Ref{b}, Prefix: "/t/acme"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { assertMatch(t, tt.resolver, newRequest(t, http.MethodGet, "/"), tt.want) })
	}
}

func TestAgree(t *testing.T) {
	t.Parallel()
	var (
		down     = errors.New("key store is down")
		none     = says(tenant.ErrNoTenant)
		slug, id = tenant.BySlug("acme"), tenant.ByID("tenant-acme")
		domain   = tenant.ByDomain("acme.com")
		other    = tenant.ByDomain("acme.de")
	)
	tests := []struct {
		name     string
		resolver tenant.Resolver
		want     any
	}{
		{"one names", tenant.Agree(none, says(slug), none), slug},
		{"none names", tenant.Agree(none, none), tenant.ErrNoTenant},
		{"zero matches", tenant.Agree(says(tenant.Match{}), none), tenant.ErrNoTenant},
		{"same", tenant.Agree(says(slug), says(slug)), slug},
		{"different slugs", tenant.Agree(says(slug), says(tenant.BySlug("beta"))), tenant.ErrDisagree},
		{"different IDs", tenant.Agree(says(id), none, says(tenant.ByID("beta"))), tenant.ErrDisagree},
		{"an ID and a slug of the same letters", tenant.Agree(says(tenant.ByID("acme")), says(slug)),
			tenant.Match{Ref: tenant.ByID("acme"), Also: []tenant.Ref{slug}}},
		{"different kinds", tenant.Agree(says(slug), says(id), says(domain)),
			tenant.Match{Ref: slug, Also: []tenant.Ref{id, domain}}},
		{"two domains may be one tenant's", tenant.Agree(says(domain), says(other)),
			tenant.Match{Ref: domain, Also: []tenant.Ref{other}}},
		{"each kept once", tenant.Agree(says(slug), says(id), says(id), says(slug)),
			tenant.Match{Ref: slug, Also: []tenant.Ref{id}}},
		{"difference among the further names", tenant.Agree(says(slug), says(id), says(tenant.ByID("beta"))), tenant.ErrDisagree},
		{"malformed", tenant.Agree(says(slug), says(tenant.ErrInvalid)), tenant.ErrInvalid},
		{"failure", tenant.Agree(none, says(down), says(slug)), down},
		{"nested", tenant.Agree(tenant.Agree(says(slug), says(id)), tenant.Agree(says(domain), says(id))),
			tenant.Match{Ref: slug, Also: []tenant.Ref{id, domain}}},
		{"nested, different", tenant.Agree(says(slug), tenant.Agree(says(id), says(tenant.BySlug("beta")))), tenant.ErrDisagree},
		{"nested in First", tenant.First(none, tenant.Agree(says(slug), says(id))), tenant.Match{Ref: slug, Also: []tenant.Ref{id}}},
		{"path", tenant.Agree(says(id), says(tenant.Match{Ref: slug, Prefix: "/t/acme"})),
			tenant.Match{Ref: id, Also: []tenant.Ref{slug}, Prefix: "/t/acme"}},
		{"two paths", tenant.Agree(says(tenant.Match{Ref: slug, Prefix: "/t/acme"}), says(tenant.Match{Ref: slug, Prefix: "/acme"})),
			tenant.ErrDisagree},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { assertMatch(t, tt.resolver, newRequest(t, http.MethodGet, "/"), tt.want) })
	}
}

func TestAgreeDoesNotShareItsAnswers(t *testing.T) {
	t.Parallel()
	answer := tenant.Match{Ref: tenant.BySlug("acme"), Also: make([]tenant.Ref, 0, 8)}
	resolver := tenant.Agree(says(answer), says(tenant.ByID("tenant-acme")))
	first, err := resolver.Resolve(newRequest(t, http.MethodGet, "/"))
	require.NoError(t, err)
	second, err := resolver.Resolve(newRequest(t, http.MethodGet, "/"))
	require.NoError(t, err)
	second.Also[0] = tenant.ByID("tenant-beta")
	assert.Equal(t, []tenant.Ref{tenant.ByID("tenant-acme")}, first.Also)
}
