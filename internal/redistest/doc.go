// Package redistest gives tests real Redis servers of their own.
//
//	func TestCounters(t *testing.T) {
//		server := redistest.Start(t) // empty, and gone when the test ends
//		client := redis.NewClient(&redis.Options{Addr: server.Addr()})
//		...
//	}
//
// # Servers
//
// Each call of [Start] starts a server on a free loopback port, which takes some ten
// milliseconds, and [StartCluster] several of them as one Redis Cluster,
// and [StartReplicated] one with a replica that a Sentinel puts in its place. They keep their
// data in memory, unless [Persistent] is given: then what was acknowledged outlives
// [Server.Kill]. Nothing that runs already is used or touched.
//
// On Linux a server also ends when its test binary dies, even by SIGKILL.
//
// # Installation
//
// Redis 7 or later is looked for in PATH. Where none is installed, tests skip, unless
// CI=true or TENANCY_REQUIRE_SERVERS=1 is set: then they fail. Under root the servers run
// as the user redis or, where there is none, nobody, who must be able to enter the
// folder of temporary files.
package redistest
