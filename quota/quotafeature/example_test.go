package quotafeature_test

import (
	"context"
	"fmt"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/quotafeature"
	"github.com/tenancy-go/tenancy/tenant"
)

func Example() {
	catalog, err := quota.ParseCatalog([]byte(`{"version": 1, "plans": {
		"free": {"features": {"sso": false}},
		"pro": {"features": {"sso": true, "model": {"value": "large", "percent": 50, "otherwise": "small"}}}
	}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	enforcer, err := quota.New(quota.NewMemorySource(catalog))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := openfeature.SetNamedProviderAndWait("plans", quotafeature.NewProvider(enforcer)); err != nil {
		fmt.Println(err)
		return
	}
	client := openfeature.NewClient("plans")

	// A tenant.Gate puts the tenant into the context of a request.
	acme := tenant.NewContext(context.Background(), tenant.Tenant{ID: "acme", Plan: "free"})
	globex := tenant.NewContext(context.Background(), tenant.Tenant{ID: "globex", Plan: "pro"})
	nobody := openfeature.EvaluationContext{}
	fmt.Println(client.Boolean(acme, "sso", false, nobody), client.Boolean(globex, "sso", false, nobody))

	for _, user := range []string{"ann", "bob"} {
		model, _ := client.StringValueDetails(globex, "model", "none", openfeature.NewEvaluationContext(user, nil))
		fmt.Println(user, model.Value, model.Reason)
	}
	model, _ := client.StringValueDetails(acme, "model", "none", nobody)
	fmt.Println(model.Value, model.ErrorCode)
	// Output:
	// false true
	// ann small SPLIT
	// bob large SPLIT
	// none FLAG_NOT_FOUND
}
