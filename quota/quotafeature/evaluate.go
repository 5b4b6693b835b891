package quotafeature

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// answer is what a feature is for a tenant.
type answer struct {
	value  any
	detail openfeature.ProviderResolutionDetail
}

// evaluate returns the flag's value as a T, or fallback with what is wrong.
func evaluate[T any](ctx context.Context, p *Provider, flag string, fallback T, subject openfeature.FlattenedContext,
	as func(any) (T, bool)) openfeature.GenericResolutionDetail[T] {
	a := p.answer(ctx, flag, subject)
	if a.detail.Reason == openfeature.ErrorReason {
		return openfeature.GenericResolutionDetail[T]{Value: fallback, ProviderResolutionDetail: a.detail}
	}
	value, ok := as(a.value)
	if !ok {
		mismatch := openfeature.NewTypeMismatchResolutionError(fmt.Sprintf("the feature is of type %T", a.value))
		return openfeature.GenericResolutionDetail[T]{Value: fallback, ProviderResolutionDetail: refused(mismatch).detail}
	}
	return openfeature.GenericResolutionDetail[T]{Value: value, ProviderResolutionDetail: a.detail}
}

// answer asks the account of ctx's tenant.
func (p *Provider) answer(ctx context.Context, flag string, subject openfeature.FlattenedContext) answer {
	account, err := p.enforcer.Account(ctx)
	switch {
	case errors.Is(err, tenant.ErrNoTenant):
		return refused(openfeature.NewInvalidContextResolutionError("the context has no tenant"))
	case err != nil:
		return refused(openfeature.NewGeneralResolutionError("the tenant's plan cannot be told", err))
	}
	plan := account.Plan()
	feature, ok := plan.Features[flag]
	switch {
	case !ok:
		return refused(openfeature.NewFlagNotFoundResolutionError("the plan " + plan.Name + " has no such feature"))
	case !feature.Partial:
		return answer{feature.Value, openfeature.ProviderResolutionDetail{
			Reason: openfeature.TargetingMatchReason, FlagMetadata: metadata(plan, flag)}}
	}
	a := p.split(account, plan, flag, subject)
	if account.Plan() != plan { // it changed on the way: begin again
		return p.answer(ctx, flag, subject)
	}
	return a
}

// split answers for a feature that plan, the account's, rolls out to a percentage. The
// enforcer has numbered its name with the plan, so that Ref adds none.
func (p *Provider) split(account *quota.Account, plan *quota.Resolved, flag string, subject openfeature.FlattenedContext) answer {
	who, ok := subject[openfeature.TargetingKey].(string)
	if !ok && subject[openfeature.TargetingKey] != nil {
		return refused(openfeature.NewInvalidContextResolutionError("the targeting key is no text"))
	}
	ref := p.enforcer.Ref(flag)
	value := account.Value(ref)
	if who != "" {
		value = account.ValueFor(ref, who)
	}
	variant := "otherwise"
	if value == plan.Features[flag].Value {
		variant = "value"
	}
	return answer{value, openfeature.ProviderResolutionDetail{
		Reason: openfeature.SplitReason, Variant: variant, FlagMetadata: metadata(plan, flag)}}
}

// metadata tells where a feature of plan comes from. Whoever gets it may change it.
func metadata(plan *quota.Resolved, flag string) openfeature.FlagMetadata {
	origin, ok := plan.Origins["features."+flag]
	if !ok {
		origin = plan.Origins["features."+flag+".value"]
	}
	return openfeature.FlagMetadata{
		"plan": plan.Name, "version": strconv.FormatInt(plan.Version, 10),
		"layer": string(origin.Layer), "origin": origin.Name,
	}
}

func refused(err openfeature.ResolutionError) answer {
	return answer{detail: openfeature.ProviderResolutionDetail{Reason: openfeature.ErrorReason, ResolutionError: err}}
}
