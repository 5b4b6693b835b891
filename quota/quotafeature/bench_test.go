package quotafeature_test

import (
	"testing"

	"github.com/open-feature/go-sdk/openfeature"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota/quotafeature"
)

// BenchmarkBoolean asks for one feature: of the account that a request has already, of
// the account by the context, of the provider, and through the client of OpenFeature.
func BenchmarkBoolean(b *testing.B) {
	p := newPlatform(b, plans)
	ctx, sso, provider := of(b, "acme", "pro"), p.Ref("sso"), quotafeature.NewProvider(p.Enforcer)
	account, err := p.Account(ctx)
	require.NoError(b, err)
	subject := openfeature.FlattenedContext{}
	tests := []struct {
		name    string
		enabled func() bool
	}{
		{"enabled", func() bool { return account.Enabled(sso) }},
		{"account", func() bool {
			account, err := p.Account(ctx)
			return err == nil && account.Enabled(sso)
		}},
		{"provider", func() bool { return provider.BooleanEvaluation(ctx, "sso", false, subject).Value }},
		{"split", func() bool { return provider.IntEvaluation(ctx, "all", 0, subject).Value == 2 }},
		{"client", func() bool { return p.client.Boolean(ctx, "sso", false, nobody) }},
	}
	for _, tt := range tests {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !tt.enabled() {
					b.Fatal("not enabled")
				}
			}
		})
	}
}
