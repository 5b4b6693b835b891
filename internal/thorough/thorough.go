// Package thorough says how much the longest tests do. By default they take a part of
// their cases, each of another kind, so that a run of everything stays short;
// with TENANCY_THOROUGH=1, or make thorough, they take all.
package thorough

import "os"

// On reports whether all cases are wanted.
func On() bool { return os.Getenv("TENANCY_THOROUGH") != "" }
