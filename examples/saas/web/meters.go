package web

import (
	"slices"
	"strings"
	"time"

	"github.com/tenancy-go/tenancy/examples/saas/workspace"
	"github.com/tenancy-go/tenancy/quota"
)

// meterGroup is a part of the usage page.
type meterGroup struct {
	ID     string // for its heading
	Name   string
	About  string
	Meters []meter
}

// meter is what was used of one window, or of what is held or kept.
type meter struct {
	Name      string // "Today"
	Used, Max int64
	Of        string // "12 of 60"
	Note      string // what is left, and when there is more
	Warned    bool
	Full      string // what the meter says when nothing is left
}

// State returns "full", "warned" or "".
func (m meter) State() string {
	switch {
	case m.Max >= 0 && m.Used >= m.Max:
		return "full"
	case m.Warned:
		return "warned"
	default:
		return ""
	}
}

// Width returns how much of the meter is filled, from 0 to 100. What is used shows,
// however little.
func (m meter) Width() float64 {
	switch {
	case m.Used <= 0 || m.Max == quota.Unlimited:
		return 0
	case m.Used >= m.Max:
		return 100
	default:
		return max(1.5, 100*float64(m.Used)/float64(m.Max))
	}
}

// groups are the parts of the page, in their order, with the limits that they show.
var groups = []meterGroup{
	{ID: "requests", Name: "Requests", About: "Pages opened and forms sent, by everybody"},
	{ID: "models", Name: "Models", About: "Words in and out, and what single models answer"},
	{ID: "documents", Name: "Documents", About: "Kept in the workspace, and what they take"},
	{ID: "streams", Name: "Answers being written", About: "Word by word, at the same time"},
}

// groupOf returns the part of the page that shows a limit, and how its meters are
// called there.
func groupOf(limit string) (group, name string) {
	switch limit {
	case workspace.LimitWords:
		return "models", "Words"
	case workspace.LimitStorage:
		return "documents", "Storage"
	case workspace.LimitDocuments:
		return "documents", "Documents"
	case limitStreams:
		return "streams", ""
	default:
		set, model, _ := strings.Cut(limit, "/")
		return set, model
	}
}

// metersOf describes what was used.
func metersOf(all []quota.Usage, now time.Time) []meterGroup {
	shown := slices.Clone(groups)
	for _, u := range all {
		group, name := groupOf(u.Limit)
		i := slices.IndexFunc(shown, func(g meterGroup) bool { return g.ID == group })
		if i < 0 {
			shown = append(shown, meterGroup{ID: group, Name: group})
			i = len(shown) - 1
		}
		shown[i].Meters = append(shown[i].Meters, meters(u, name, now)...)
	}
	return slices.DeleteFunc(shown, func(g meterGroup) bool { return len(g.Meters) == 0 })
}

// meters are those of one limit, each under name and what it is of.
func meters(u quota.Usage, name string, now time.Time) []meter {
	if u.Kind != quota.Rate {
		return []meter{kept(u, name)}
	}
	all := make([]meter, len(u.Windows))
	for i, w := range u.Windows {
		all[i] = meter{Name: named(name, current(w.Window)), Used: w.Used, Max: w.Limit, Of: of(u.Limit, w.Used, w.Limit), Warned: w.Warned, Full: "Used up"}
		all[i].Note = left(number(int(w.Remaining))) + " left"
		if w.Used > 0 {
			all[i].Note += refill(w, now)
		}
	}
	return all
}

// named writes "Words today", or "Today" for what has no name.
func named(name, when string) string {
	if name == "" {
		return when
	}
	return name + " " + strings.ToLower(when[:1]) + when[1:]
}

// current names a window as people know it.
func current(w quota.Window) string {
	switch {
	case w.Roll == quota.Calendar && w.Per == quota.Day:
		return "Today"
	case w.Roll == quota.Calendar:
		return "This " + string(w.Per)
	default:
		return "Last " + string(w.Per)
	}
}

// refill says when a window has more.
func refill(w quota.WindowUsage, now time.Time) string {
	when := until(w.Resets.Sub(now), w.Window)
	if w.Roll == quota.Calendar {
		return ", starts anew " + when
	}
	return ", more " + when
}

// kept is the meter of what is held or kept.
func kept(u quota.Usage, name string) meter {
	m := meter{Name: name, Used: u.Used, Max: u.Max, Of: of(u.Limit, u.Used, u.Max), Warned: u.Warned, Full: "Full"}
	remains := left(amountOnly(u.Limit, max(0, u.Max-u.Used)))
	switch {
	case u.Max == quota.Unlimited:
		m.Note = "No limit"
	case u.Kind == quota.Concurrent:
		m.Name, m.Note, m.Full = "Now", remains+" free", "All in use"
	default:
		m.Note = remains + " left, more when a document is deleted"
	}
	return m
}

// left writes that nothing is left, if that is what amount says.
func left(amount string) string {
	if strings.HasPrefix(amount, "0") {
		return "None"
	}
	return amount
}

// of writes "12 of 60".
func of(limit string, used, limited int64) string {
	if limited == quota.Unlimited {
		return amountOnly(limit, used)
	}
	return amountOnly(limit, used) + " of " + amountOnly(limit, limited)
}

// amountOnly is amount without the noun.
func amountOnly(limit string, n int64) string {
	if limit == workspace.LimitStorage {
		return size(n)
	}
	return number(int(n))
}
