package quota

import (
	"hash/fnv"
)

// Feature is a gate, or a setting by plan. Its value is a bool, an int64, a
// float64 or a string.
type Feature struct {
	Value any
	// Percent of tenants who get Value, when Partial is set; the others get Otherwise,
	// or the zero of Value's type if that is nil. A tenant that got it at one
	// percentage gets it at every higher one.
	Percent   float64
	Partial   bool
	Otherwise any
}

func (f Feature) validate(at, name string) error {
	if !isName(name) {
		return badName(at)
	}
	zero := zeroOf(f.Value)
	if zero == nil {
		return invalid(at, "want true, false, a number or a text")
	}
	if f.Partial && !(f.Percent >= 0 && f.Percent <= 100) {
		return invalid(join(at, "percent"), "want 0 to 100, got %v", f.Percent)
	}
	if f.Otherwise != nil && zeroOf(f.Otherwise) != zero {
		return invalid(join(at, "otherwise"), "want a value of the same type as value")
	}
	return nil
}

// zeroOf returns the zero of v's type, or nil if features have no such values.
func zeroOf(v any) any {
	switch v.(type) {
	case bool:
		return false
	case int64:
		return int64(0)
	case float64:
		return float64(0)
	case string:
		return ""
	default:
		return nil
	}
}

// of returns the value that who, a tenant or what else is asked for, gets of the
// feature called name.
func (f Feature) of(name, who string) any {
	if !f.Partial || share(name, who) < f.Percent {
		return f.Value
	}
	if f.Otherwise != nil {
		return f.Otherwise
	}
	return zeroOf(f.Value)
}

// share returns who's place in the roll-out of a feature: from 0 up to, but without,
// 100, spread evenly, and independent between features.
func share(name, who string) float64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	h.Write([]byte{0})
	h.Write([]byte(who))
	sum := h.Sum64() // FNV's high bits depend little on the last bytes: mix (Stafford's variant 13)
	sum = (sum ^ sum>>30) * 0xbf58476d1ce4e5b9
	sum = (sum ^ sum>>27) * 0x94d049bb133111eb
	sum ^= sum >> 31
	return float64(sum>>11) / (1 << 53) * 100
}
