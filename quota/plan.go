package quota

import (
	"slices"
	"time"
)

// Plan is what the tenants of a plan may use. Names of limits, features and
// resource sets are lower-case words: a-z, 0-9, _ and -, with a letter first.
//
// Its written form is JSON or YAML:
//
//	title: Pro
//	rank: 1
//	weight: 4
//	limits:
//	  requests: {windows: {minute: 300, hour: 10000, day: 100000}, warn: 0.8}
//	  streams:  {kind: concurrent, max: 10}
//	  storage:  {kind: stock, max: 10GiB}
//	features:
//	  sso: true
//	resources:
//	  models: {allow: ["small-*", large-2], deny: ["*-preview"]}
//	database: {statement_timeout: 10s, connections: 5}
type Plan struct {
	Name      string
	Title     string // for people
	Rank      int64  // under overload the plans of the lowest rank are refused first
	Weight    int64  // share of what tenants wait for; 1 if it is not said
	Limits    map[string]Limit
	Features  map[string]Feature
	Resources map[string]Resources
	Database  Database
}

// Kind is what a limit counts.
type Kind string

const (
	Rate       Kind = "rate"       // units per window of time, such as requests or tokens; the default
	Concurrent Kind = "concurrent" // what is held at the same time, such as connections
	Stock      Kind = "stock"      // what is kept until it is given back, such as bytes or seats
	Bandwidth  Kind = "bandwidth"  // bytes per second; see package bandwidth
)

// Unlimited is the Max of a limit that has none.
const Unlimited = -1

// Limit bounds what a tenant may use of one thing. A limit of [Rate] without windows
// lets everything in.
//
// Its written form has the fields kind, windows, max, burst, warn, grace, per, outage,
// payment, shadow and lease. Windows are an object of limits by period: second, minute,
// hour, day, week, month, or a length such as 90s. Numbers may be sizes, such as 10GiB or
// 10MB, and max may be unlimited.
type Limit struct {
	Kind    Kind
	Windows []Window // of Rate
	Burst   int64    // of Rate: units that may come at once, when the shortest window's are spread over it; 0 spreads nothing. Of Bandwidth: bytes
	Max     int64    // of the other kinds: units or bytes per second, or Unlimited
	Warn    float64  // soft limit as a fraction of the limit, such as 0.8; 0 for none, save where Grace is given: then 1
	Grace   float64  // what is let in beyond the limit, as a fraction of it
	Per     Scope    // whose units are counted together
	Outage  Outage   // what to do when the store cannot say
	Payment bool     // more is a matter of paying: 402 instead of 403 where waiting does not help
	Shadow  bool     // counts and reports, and refuses nothing
	// With a [Store], a process may take up to so many units ahead of each counter, also of
	// each key, to let in without asking: up to 2^30; 0 asks for each decision. Without a
	// store it does nothing. Limits of Bandwidth, and with Shadow, have none.
	Lease int64
}

// Scope is whose units a limit counts together.
type Scope string

const (
	PerTenant Scope = "tenant" // all of the tenant's; the default
	PerKey    Scope = "key"    // those of each key that the caller gives: a user, an API key, an address
)

// Outage is what a limit does while the store that replicas share cannot say what
// is used.
type Outage string

const (
	Share Outage = "share" // go on with this process's share of the limit; the default of rates
	Close Outage = "close" // refuse; the default of the other kinds
	Open  Outage = "open"  // let everything in
)

// grace returns the units that l lets in beyond limit.
func (l Limit) grace(limit int64) int64 { return int64(l.Grace * float64(limit)) }

// warn returns the soft limit of limit, or a number that is never passed.
func (l Limit) warn(limit int64) int64 {
	switch {
	case l.Warn > 0:
		return int64(l.Warn * float64(limit))
	case l.Grace > 0:
		return limit
	default:
		return limit + l.grace(limit)
	}
}

// sorted returns the windows with their defaults filled in, shortest first.
func (l Limit) sorted() []Window {
	windows := make([]Window, len(l.Windows))
	for i, w := range l.Windows {
		windows[i] = w.normal()
	}
	sortWindows(windows)
	return windows
}

// Database bounds what a tenant's statements take in PostgreSQL. What is zero
// stays as the server has it. It converts to isolation.Limits, which isolation.LimitsBy
// holds the tenant to; see [Enforcer.Plan].
type Database struct {
	StatementTimeout time.Duration
	LockTimeout      time.Duration
	IdleTimeout      time.Duration // idle_in_transaction_session_timeout
	WorkMem          int64         // bytes
	Connections      int64         // at once
}

// validate returns the first fault of p, whose fields are below the path at.
func (p Plan) validate(at string) error {
	if p.Weight < 0 || p.Weight > maxWeight {
		return invalid(join(at, "weight"), "want 1 to %d, got %d", maxWeight, p.Weight)
	}
	for _, name := range sortedKeys(p.Limits) {
		if err := p.Limits[name].validate(join(at, "limits", name), name); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(p.Features) {
		if err := p.Features[name].validate(join(at, "features", name), name); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(p.Resources) {
		if _, taken := p.Limits[name]; taken {
			return invalid(join(at, "resources", name), "a limit has this name; want another, since claims name both")
		}
		if err := p.Resources[name].validate(join(at, "resources", name), name); err != nil {
			return err
		}
	}
	return p.Database.validate(join(at, "database"))
}

const (
	maxWeight  = 1_000_000
	maxWindows = 16
	maxLease   = 1 << 30
)

func (l Limit) validate(at, name string) error {
	if !isName(name) {
		return badName(at)
	}
	if !slices.Contains([]Kind{Rate, Concurrent, Stock, Bandwidth}, l.Kind) {
		return invalid(join(at, "kind"), "%q: want rate, concurrent, stock or bandwidth", string(l.Kind))
	}
	if l.Kind != Rate && len(l.Windows) > 0 {
		return invalid(join(at, "windows"), "only a limit of kind rate has windows")
	}
	if l.Kind != Rate && (l.Max < Unlimited || l.Max > maxUnits) {
		return invalid(join(at, "max"), "want 0 to 2^53 or unlimited, got %d", l.Max)
	}
	if l.Burst < 0 || l.Burst > maxUnits || l.Burst > 0 && l.Kind != Rate && l.Kind != Bandwidth {
		return invalid(join(at, "burst"), "want 1 to 2^53, in a limit of kind rate or bandwidth")
	}
	if !(l.Warn >= 0 && l.Warn <= 1) {
		return invalid(join(at, "warn"), "want a fraction of the limit from 0 to 1, got %v", l.Warn)
	}
	if !(l.Grace >= 0 && l.Grace <= 1) {
		return invalid(join(at, "grace"), "want a fraction of the limit from 0 to 1, got %v", l.Grace)
	}
	if l.Per != PerTenant && l.Per != PerKey {
		return invalid(join(at, "per"), "%q: want tenant or key", string(l.Per))
	}
	if !slices.Contains([]Outage{Share, Close, Open}, l.Outage) {
		return invalid(join(at, "outage"), "%q: want share, close or open", string(l.Outage))
	}
	if l.Lease < 0 || l.Lease > maxLease || l.Lease > 0 && (l.Kind == Bandwidth || l.Shadow) {
		return invalid(join(at, "lease"), "want 1 to 2^30 units, in a limit of kind rate, concurrent or stock that is no shadow")
	}
	if l.Per == PerKey && l.Kind != Rate && l.Kind != Concurrent {
		return invalid(join(at, "per"), "only limits of kind rate and concurrent are per key")
	}
	return l.validateWindows(join(at, "windows"))
}

func (l Limit) validateWindows(at string) error {
	if len(l.Windows) > maxWindows {
		return invalid(at, "want at most %d", maxWindows)
	}
	seen := make(map[time.Duration]bool, len(l.Windows))
	for _, w := range l.Windows {
		field := join(at, string(w.Per))
		if err := w.validate(field); err != nil {
			return err
		}
		if seen[w.Per.nominal()] {
			return invalid(field, "another window has this length")
		}
		seen[w.Per.nominal()] = true
	}
	return nil
}

func (d Database) validate(at string) error {
	for name, value := range map[string]int64{
		"statement_timeout": int64(d.StatementTimeout), "lock_timeout": int64(d.LockTimeout),
		"idle_timeout": int64(d.IdleTimeout), "work_mem": d.WorkMem, "connections": d.Connections,
	} {
		if value < 0 {
			return invalid(join(at, name), "want a positive number")
		}
	}
	return nil
}
