package quota

import (
	"encoding/json"
)

// first collects the first error of several steps.
type first struct{ err error }

// read sets *to by get, unless a step failed before.
func read[T any](f *first, to *T, get func() (T, error)) {
	if f.err == nil {
		*to, f.err = get()
	}
}

// each decodes every member of n.
func each[T any](n node, decode func(node) (T, error)) (map[string]T, error) {
	members, err := n.members()
	if err != nil || len(members) == 0 {
		return nil, err
	}
	decoded := make(map[string]T, len(members))
	for _, name := range sortedKeys(members) {
		if decoded[name], err = decode(members[name]); err != nil {
			return nil, err
		}
	}
	return decoded, nil
}

// plan decodes a plan, and checks it.
func (n node) plan(name string) (Plan, error) {
	fields, err := n.fields("title", "rank", "weight", "limits", "features", "resources", "database")
	if err != nil {
		return Plan{}, err
	}
	p, f := Plan{Name: name}, first{}
	read(&f, &p.Title, fields["title"].text)
	read(&f, &p.Rank, fields["rank"].whole)
	read(&f, &p.Weight, fields["weight"].whole)
	read(&f, &p.Limits, func() (map[string]Limit, error) { return each(fields["limits"], node.limit) })
	read(&f, &p.Features, func() (map[string]Feature, error) { return each(fields["features"], node.feature) })
	read(&f, &p.Resources, func() (map[string]Resources, error) { return each(fields["resources"], node.resources) })
	read(&f, &p.Database, fields["database"].database)
	if f.err != nil {
		return Plan{}, f.err
	}
	if _, given := fields["weight"]; !given {
		p.Weight = 1
	} else if p.Weight < 1 {
		return Plan{}, invalid(fields["weight"].path, "want 1 to %d, got %d", maxWeight, p.Weight)
	}
	return p, p.validate(n.path)
}

func (n node) limit() (Limit, error) {
	fields, err := n.fields("kind", "windows", "max", "burst", "warn", "grace", "per", "outage", "payment", "shadow", "lease")
	if err != nil {
		return Limit{}, err
	}
	var l Limit
	var kind, per, outage string
	var f first
	read(&f, &kind, fields["kind"].text)
	read(&f, &l.Windows, fields["windows"].windows)
	read(&f, &l.Max, fields["max"].count)
	read(&f, &l.Burst, fields["burst"].count)
	read(&f, &l.Warn, fields["warn"].fraction)
	read(&f, &l.Grace, fields["grace"].fraction)
	read(&f, &per, fields["per"].text)
	read(&f, &outage, fields["outage"].text)
	read(&f, &l.Payment, fields["payment"].flag)
	read(&f, &l.Shadow, fields["shadow"].flag)
	read(&f, &l.Lease, fields["lease"].count)
	if f.err != nil {
		return Limit{}, f.err
	}
	l.Kind, l.Per, l.Outage = Kind(kind), Scope(per), Outage(outage)
	_, hasWindows := fields["windows"]
	_, hasMax := fields["max"]
	l = l.normal()
	switch {
	case l.Kind == Rate && !hasWindows:
		return Limit{}, invalid(n.path, "want windows, such as {minute: 60}, or a kind other than rate")
	case l.Kind == Rate && hasMax:
		return Limit{}, invalid(fields["max"].path, "a limit of kind rate has windows instead")
	case l.Kind != Rate && !hasMax:
		return Limit{}, invalid(join(n.path, "max"), "want a number of units, or unlimited")
	}
	return l, nil
}

// normal returns l with its defaults filled in.
func (l Limit) normal() Limit {
	if l.Kind == "" {
		l.Kind = Rate
	}
	if l.Per == "" {
		l.Per = PerTenant
	}
	if l.Outage == "" {
		l.Outage = Close
		if l.Kind == Rate {
			l.Outage = Share
		}
	}
	return l
}

// windows decodes windows by period: a limit, or an object with limit and roll.
func (n node) windows() ([]Window, error) {
	members, err := n.members()
	if err != nil || len(members) == 0 {
		return nil, err
	}
	windows := make([]Window, 0, len(members))
	for _, per := range sortedKeys(members) {
		w, err := members[per].window()
		if err != nil {
			return nil, err
		}
		w.Per = Period(per)
		if err := w.validate(members[per].path); err != nil {
			return nil, err
		}
		windows = append(windows, w.normal())
	}
	sortWindows(windows)
	return windows, nil
}

func (n node) window() (Window, error) {
	if _, isObject := n.value.(map[string]any); !isObject {
		limit, err := n.limitOfWindow()
		return Window{Limit: limit}, err
	}
	fields, err := n.fields("limit", "roll")
	if err != nil {
		return Window{}, err
	}
	if _, given := fields["limit"]; !given {
		return Window{}, invalid(join(n.path, "limit"), "want a number of units")
	}
	var w Window
	var roll string
	var f first
	read(&f, &w.Limit, fields["limit"].limitOfWindow)
	read(&f, &roll, fields["roll"].text)
	w.Roll = Roll(roll)
	return w, f.err
}

func (n node) limitOfWindow() (int64, error) {
	limit, err := n.count()
	if err == nil && (limit == Unlimited || n.value == nil) {
		err = invalid(n.path, "want a number of units; without a limit, leave the window out")
	}
	return limit, err
}

// feature decodes a value, or an object with value and percent.
func (n node) feature() (Feature, error) {
	if _, isObject := n.value.(map[string]any); !isObject {
		value, err := n.scalar()
		return Feature{Value: value}, err
	}
	fields, err := n.fields("value", "percent", "otherwise")
	if err != nil {
		return Feature{}, err
	}
	if fields["value"].value == nil {
		return Feature{}, invalid(join(n.path, "value"), "want true, false, a number or a text")
	}
	var f first
	var feature Feature
	read(&f, &feature.Value, fields["value"].scalar)
	read(&f, &feature.Percent, fields["percent"].fraction)
	if _, given := fields["otherwise"]; given {
		read(&f, &feature.Otherwise, fields["otherwise"].scalar)
	}
	_, feature.Partial = fields["percent"]
	return feature, f.err
}

func (n node) scalar() (any, error) {
	switch value := n.value.(type) {
	case bool, string, float64, int64:
		return value, nil
	case int:
		return int64(value), nil
	case json.Number:
		if i, err := value.Int64(); err == nil {
			return i, nil
		}
		if f, err := value.Float64(); err == nil {
			return f, nil
		}
	}
	return nil, invalid(n.name(), "want true, false, a number or a text, got %s", kindOf(n.value))
}

func (n node) resources() (Resources, error) {
	fields, err := n.fields("allow", "deny", "limits")
	if err != nil {
		return Resources{}, err
	}
	var r Resources
	var f first
	read(&f, &r.Allow, fields["allow"].texts)
	read(&f, &r.Deny, fields["deny"].texts)
	read(&f, &r.Limits, func() (map[string]Limit, error) { return each(fields["limits"], node.limit) })
	return r, f.err
}

func (n node) database() (Database, error) {
	fields, err := n.fields("statement_timeout", "lock_timeout", "idle_timeout", "work_mem", "connections")
	if err != nil {
		return Database{}, err
	}
	var d Database
	var f first
	read(&f, &d.StatementTimeout, fields["statement_timeout"].duration)
	read(&f, &d.LockTimeout, fields["lock_timeout"].duration)
	read(&f, &d.IdleTimeout, fields["idle_timeout"].duration)
	read(&f, &d.WorkMem, fields["work_mem"].count)
	read(&f, &d.Connections, fields["connections"].count)
	return d, f.err
}
