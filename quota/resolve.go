package quota

import (
	"fmt"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// Override is what one tenant has beside its plan, or what a parent gives its
// children.
type Override struct {
	Tenant   tenant.ID
	ID       string    // of the override, unique for its tenant
	Patch    Document  // a part of a plan, such as {limits: {requests: {windows: {minute: 600}}}}
	Reason   string    // for whoever asks why; required
	Expires  time.Time // from then on it does not count; zero for never
	Children bool      // it is for the tenants whose Parent is Tenant, not for Tenant itself
	Version  int64     // grows by one with each change of it
}

// Validate checks what can be checked without a plan. Errors are a [FieldError].
func (o Override) Validate() error {
	switch {
	case o.Tenant.Validate() != nil:
		return invalid("tenant", "want the ID of a tenant")
	case o.ID == "" || len(o.ID) > maxName:
		return invalid("id", "want 1 to %d bytes", maxName)
	case o.Reason == "" || len(o.Reason) > 1000:
		return invalid("reason", "want 1 to 1000 bytes that say why")
	case len(o.Patch) == 0:
		return invalid("patch", "want what is to be different, such as {limits: {seats: {max: 20}}}")
	}
	_, err := node{path: "patch", value: map[string]any(o.Patch)}.fields(
		"title", "rank", "weight", "limits", "features", "resources", "database")
	return err
}

// CheckOverride returns an error if o fits none of the plans: tenants that have it would
// be refused. It cannot know which plan a tenant will have; Resolve tells for one.
func (c *Catalog) CheckOverride(o Override) error {
	if err := o.Validate(); err != nil {
		return err
	}
	o.Expires, o.Children = time.Time{}, false
	var fault error
	for _, name := range sortedKeys(c.complete) {
		_, err := c.Resolve(tenant.Tenant{ID: o.Tenant, Plan: name}, []Override{o}, time.Time{})
		if err == nil {
			return nil
		}
		fault = err
	}
	return fault
}

// Layer is where a value of a tenant's plan comes from.
type Layer string

// The layers, the later ones over the earlier ones.
const (
	LayerDefault  Layer = "default"
	LayerPlan     Layer = "plan"
	LayerParent   Layer = "parent"
	LayerOverride Layer = "override"
)

// Origin says where a value comes from.
type Origin struct {
	Layer   Layer     `json:"layer"`
	Name    string    `json:"name"`             // of the plan or the override
	Reason  string    `json:"reason,omitempty"` // of the override
	Expires time.Time `json:"expires,omitzero"` // of the override
}

// Resolved is the plan of one tenant, with all that applies to it.
type Resolved struct {
	Plan
	Version int64             // of the catalog
	Origins map[string]Origin // by path, such as limits.requests.windows.minute
	Until   time.Time         // when an override of it ends; zero if none does
}

// Resolve returns the plan of t at the time now: the platform's defaults, then the
// plan, then what t's parent gives its children, then t's own overrides. It
// refuses an unknown plan, and overrides that do not fit it.
func (c *Catalog) Resolve(t tenant.Tenant, overrides []Override, now time.Time) (*Resolved, error) {
	name := c.planOf(t.Plan)
	if _, err := c.Plan(name); err != nil {
		return nil, fmt.Errorf("tenant %s: %w", t.ID, err)
	}
	r := &Resolved{Version: c.version, Origins: make(map[string]Origin)}
	layers := c.layers(name)
	for _, wanted := range []Layer{LayerParent, LayerOverride} {
		for _, o := range overrides {
			if o.layerFor(t) != wanted {
				continue
			}
			if !o.Expires.IsZero() {
				if !now.Before(o.Expires) {
					continue
				}
				if r.Until.IsZero() || o.Expires.Before(r.Until) {
					r.Until = o.Expires
				}
			}
			layers = append(layers, layer{o.Patch, Origin{Layer: wanted, Name: o.ID, Reason: o.Reason, Expires: o.Expires}})
		}
	}
	var err error
	r.Plan, err = node{value: c.merge(layers, r.Origins)}.plan(name)
	if err != nil {
		return nil, fmt.Errorf("tenant %s, plan %s with its overrides: %w", t.ID, name, err)
	}
	return r, nil
}

// layerFor returns the layer of t's plan that o is in, or "".
func (o Override) layerFor(t tenant.Tenant) Layer {
	switch {
	case o.Children && t.Parent != "" && o.Tenant == t.Parent:
		return LayerParent
	case !o.Children && o.Tenant == t.ID:
		return LayerOverride
	default:
		return ""
	}
}
