module github.com/tenancy-go/tenancy/docs/benchmarks

go 1.26.0

require (
	github.com/lib/pq v1.12.3
	github.com/tenancy-go/tenancy v0.0.0
)

replace github.com/tenancy-go/tenancy => ../..
