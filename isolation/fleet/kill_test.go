package fleet_test

import "github.com/tenancy-go/tenancy/tenant"

const childEnv = "TENANCY_FLEET_CHILD"

func child() int { return 0 }

type tenantT = tenant.Tenant
