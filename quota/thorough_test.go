package quota_test

import "github.com/tenancy-go/tenancy/internal/thorough"

// runs returns how many cases to try: few, or all where tests are to be thorough.
func runs(few, all int) int {
	if thorough.On() {
		return all
	}
	return few
}
