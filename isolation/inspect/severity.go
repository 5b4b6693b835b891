package inspect

import (
	"fmt"
	"slices"
	"strings"
)

// Severity says how bad a finding is.
type Severity int

const (
	// Low costs speed, or is one careless change away from Medium: an index that
	// policies make unusable, one of two nets torn.
	Low Severity = iota + 1
	// Medium tells a tenant something about others (that a value exists, how much
	// they write), lets it disturb them, or opens what is made later.
	Medium
	// High gives other tenants' rows to who goes looking for them, or to an
	// everyday mistake.
	High
	// Critical means that an ordinary statement of one tenant reads or changes
	// rows of another, or that the runtime role may lift the isolation.
	Critical
)

var severities = []string{"", "low", "medium", "high", "critical"}

// String returns the severity in lower case.
func (s Severity) String() string {
	if s < Low || s > Critical {
		return fmt.Sprintf("Severity(%d)", int(s))
	}
	return severities[s]
}

// ParseSeverity reads low, medium, high or critical, in any case.
func ParseSeverity(text string) (Severity, error) {
	i := slices.Index(severities, strings.ToLower(text))
	if i < int(Low) {
		return 0, fmt.Errorf("isolation/inspect: severity %q: want low, medium, high or critical", text)
	}
	return Severity(i), nil
}

// MarshalText writes what ParseSeverity reads.
func (s Severity) MarshalText() ([]byte, error) {
	if s < Low || s > Critical {
		return nil, fmt.Errorf("isolation/inspect: no such severity: %d", int(s))
	}
	return []byte(s.String()), nil
}

// UnmarshalText is ParseSeverity.
func (s *Severity) UnmarshalText(text []byte) error {
	parsed, err := ParseSeverity(string(text))
	if err == nil {
		*s = parsed
	}
	return err
}
