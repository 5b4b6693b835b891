package quotafeature

import (
	"context"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/tenancy-go/tenancy/quota"
)

// Provider is an [openfeature.FeatureProvider] of the features in plans. It is safe for
// concurrent use, and ready at once.
type Provider struct {
	enforcer *quota.Enforcer
}

var _ openfeature.FeatureProvider = (*Provider)(nil)

// NewProvider returns a Provider of the plans that e asks for, which is not nil.
func NewProvider(e *quota.Enforcer) *Provider { return &Provider{enforcer: e} }

// Metadata implements [openfeature.FeatureProvider]. The name is "tenancy".
func (p *Provider) Metadata() openfeature.Metadata { return openfeature.Metadata{Name: "tenancy"} }

// Hooks implements [openfeature.FeatureProvider]. There are none.
func (p *Provider) Hooks() []openfeature.Hook { return nil }

// BooleanEvaluation implements [openfeature.FeatureProvider].
func (p *Provider) BooleanEvaluation(ctx context.Context, flag string, fallback bool, subject openfeature.FlattenedContext) openfeature.BoolResolutionDetail {
	return evaluate(ctx, p, flag, fallback, subject, same[bool])
}

// StringEvaluation implements [openfeature.FeatureProvider].
func (p *Provider) StringEvaluation(ctx context.Context, flag string, fallback string, subject openfeature.FlattenedContext) openfeature.StringResolutionDetail {
	return evaluate(ctx, p, flag, fallback, subject, same[string])
}

// FloatEvaluation implements [openfeature.FeatureProvider].
func (p *Provider) FloatEvaluation(ctx context.Context, flag string, fallback float64, subject openfeature.FlattenedContext) openfeature.FloatResolutionDetail {
	return evaluate(ctx, p, flag, fallback, subject, float)
}

// IntEvaluation implements [openfeature.FeatureProvider].
func (p *Provider) IntEvaluation(ctx context.Context, flag string, fallback int64, subject openfeature.FlattenedContext) openfeature.IntResolutionDetail {
	return evaluate(ctx, p, flag, fallback, subject, same[int64])
}

// ObjectEvaluation implements [openfeature.FeatureProvider].
func (p *Provider) ObjectEvaluation(ctx context.Context, flag string, fallback any, subject openfeature.FlattenedContext) openfeature.InterfaceResolutionDetail {
	return evaluate(ctx, p, flag, fallback, subject, like(fallback))
}
