package quotafeature

import (
	"reflect"
)

const maxExact = 1 << 53 // up to here a float64 holds every whole number

// same returns a value of type T as it is.
func same[T any](value any) (T, bool) {
	typed, ok := value.(T)
	return typed, ok
}

// float returns a number as a float64, if it is still the same then.
func float(value any) (float64, bool) {
	if whole, ok := value.(int64); ok {
		return float64(whole), -maxExact <= whole && whole <= maxExact
	}
	return same[float64](value)
}

// like returns values of fallback's type as they are, or all if fallback is nil.
func like(fallback any) func(any) (any, bool) {
	return func(value any) (any, bool) {
		return value, fallback == nil || reflect.TypeOf(value) == reflect.TypeOf(fallback)
	}
}
