// Package tenancy is the root of a module that gives an application what
// multi-tenancy needs. The root itself holds no code. Import the packages below
// it, each of which works on its own:
//
//   - [github.com/tenancy-go/tenancy/tenant] finds the tenant of a request and
//     carries it in the context;
//   - [github.com/tenancy-go/tenancy/isolation] keeps tenants' data apart behind
//     an ordinary *sql.DB, with the strategies
//     [github.com/tenancy-go/tenancy/isolation/row],
//     [github.com/tenancy-go/tenancy/isolation/schema],
//     [github.com/tenancy-go/tenancy/isolation/database] and, without a server,
//     [github.com/tenancy-go/tenancy/isolation/database/sqlitefile].
//
// # Where to start
//
// The program in examples/quickstart is the smallest whole application: two
// tenants who do not see each other's rows, and no server. The one in
// examples/saas is a small product. Run them from a checkout:
//
//	go run ./examples/quickstart
//	go run ./examples/saas
//
// docs/design.md has the decisions and their reasons, and docs/threat-model.md
// what is defended against whom.
package tenancy
