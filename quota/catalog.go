package quota

import (
	"fmt"
	"maps"
)

// Catalog is all plans of a platform, at one version. Its written form is JSON or
// YAML:
//
//	version: 7
//	default: free        # the plan of tenants that name none; without it they are refused
//	defaults: {…}        # what every plan has unless it says otherwise
//	plans: {free: {…}, pro: {…}}
type Catalog struct {
	version  int64
	fallback string // plan of tenants that name none
	defaults Document
	plans    map[string]Document
	complete map[string]Plan // with the defaults
}

// ParseCatalog reads a catalog in JSON. Every plan must be whole with the defaults.
// Errors are a [FieldError].
func ParseCatalog(data []byte) (*Catalog, error) {
	document, err := ParseDocument(data)
	if err != nil {
		return nil, err
	}
	return NewCatalog(document)
}

// NewCatalog returns the catalog that document writes down, which must not change
// afterwards.
func NewCatalog(document Document) (*Catalog, error) {
	fields, err := node{value: map[string]any(document)}.fields("version", "default", "defaults", "plans")
	if err != nil {
		return nil, err
	}
	c := &Catalog{plans: make(map[string]Document), complete: make(map[string]Plan)}
	var f first
	read(&f, &c.version, fields["version"].whole)
	read(&f, &c.fallback, fields["default"].text)
	read(&f, &c.defaults, fields["defaults"].document)
	read(&f, &c.plans, func() (map[string]Document, error) { return each(fields["plans"], node.document) })
	if f.err != nil {
		return nil, f.err
	}
	if err := c.completePlans(); err != nil {
		return nil, err
	}
	return c, nil
}

// document returns an object as it is.
func (n node) document() (Document, error) {
	if _, err := n.members(); err != nil {
		return nil, err
	}
	object, _ := n.value.(map[string]any)
	return object, nil
}

// completePlans decodes every plan.
func (c *Catalog) completePlans() error {
	if c.version < 1 {
		return invalid("version", "want a number from 1, greater with each change")
	}
	if len(c.plans) == 0 {
		return invalid("plans", "want at least one plan")
	}
	for _, name := range sortedKeys(c.plans) {
		if !isName(name) {
			return badName(join("plans", name))
		}
		merged := c.merge(c.layers(name), nil)
		plan, err := node{path: join("plans", name), value: merged}.plan(name)
		if err != nil {
			return err
		}
		c.complete[name] = plan
	}
	if _, known := c.plans[c.fallback]; c.fallback != "" && !known {
		return invalid("default", "%q: want the name of one of the plans", clip(c.fallback))
	}
	return nil
}

// layers returns what the plan called name is made of.
func (c *Catalog) layers(name string) []layer {
	return []layer{
		{document: c.defaults, origin: Origin{Layer: LayerDefault, Name: "defaults"}},
		{document: c.plans[name], origin: Origin{Layer: LayerPlan, Name: name}},
	}
}

// merge returns the document that layers make, and puts the origin of each value
// into origins.
func (c *Catalog) merge(layers []layer, origins map[string]Origin) map[string]any {
	if origins == nil {
		origins = make(map[string]Origin)
	}
	merged := make(map[string]any)
	for _, l := range layers {
		l.merge(merged, l.document, "", origins)
	}
	return merged
}

// Version returns the catalog's version.
func (c *Catalog) Version() int64 { return c.version }

// Plan returns the plan called name, without any tenant's overrides. The error
// wraps [ErrInvalid].
func (c *Catalog) Plan(name string) (Plan, error) {
	plan, ok := c.complete[name]
	if !ok {
		return Plan{}, fmt.Errorf("%w: no plan is called %q; the catalog has %v", ErrInvalid, clip(name), sortedKeys(c.complete))
	}
	return plan, nil
}

// Plans returns all plans by name.
func (c *Catalog) Plans() map[string]Plan { return maps.Clone(c.complete) }

// standing returns where rank is among those of all plans: 0 for the lowest, 1 for the
// highest.
func (c *Catalog) standing(rank int64) float64 {
	ranks := make(map[int64]bool)
	for _, plan := range c.complete {
		ranks[plan.Rank] = true
	}
	below, above := 0, 0
	for other := range ranks {
		if other < rank {
			below++
		} else if other > rank {
			above++
		}
	}
	if above == 0 {
		return 1
	}
	return float64(below) / float64(below+above)
}

// planOf returns the name of the plan of a tenant whose record says name.
func (c *Catalog) planOf(name string) string {
	if name == "" {
		return c.fallback
	}
	return name
}
