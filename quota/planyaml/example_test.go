package planyaml_test

import (
	"fmt"

	"github.com/tenancy-go/tenancy/quota/planyaml"
)

func ExampleParse() {
	catalog, err := planyaml.Parse([]byte(`
version: 7
default: free
defaults:
  limits:
    requests: {windows: {minute: 60}}
plans:
  free: {}
  pro:
    limits:
      requests: {windows: {minute: 300, day: 100000}}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"free", "pro"} {
		plan, _ := catalog.Plan(name)
		fmt.Println(name, plan.Limits["requests"].Windows)
	}
	// Output:
	// free [60 per minute]
	// pro [300 per minute 100000 per day]
}

// A value that readers of YAML differ on is refused with the line.
func ExampleParse_surprise() {
	_, err := planyaml.Parse([]byte(`
version: 1
plans:
  pro:
    features:
      region: no
`))
	fmt.Println(err)
	// Output:
	// quota: invalid: plans.pro.features.region: line 6: no: readers of YAML differ on what this is: write true or false, or quote the text
}
