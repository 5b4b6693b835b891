package leaktest_test

import (
	"context"
	"fmt"
	"net/http"

	"github.com/tenancy-go/tenancy/isolation/isolationtest/leaktest"
)

// A board on whose wall everybody's texts are, and what the kit says of it.
func ExampleFindLeaks() {
	app := openBoard(func(w http.ResponseWriter, _ *http.Request, own, others string) { fmt.Fprintln(w, own, others) })
	report, err := leaktest.FindLeaks(context.Background(), app)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range report.Findings {
		fmt.Printf("%s %s, %s: what is %s's reached %s\n", f.Kind, f.Step, f.Where, f.Owner, f.Reader)
	}
	// Output:
	// LEAK GET /wall, body of the answer: what is t-acme-1's reached t-globex-2
}
