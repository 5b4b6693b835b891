// Package leaktest looks for leaks between the tenants of a host's own application: it
// records what each tenant's users do, asks for the same as every other tenant, and
// looks for each tenant's words everywhere.
//
//	func TestLeaks(t *testing.T) {
//		logs := leaktest.NewLogs()
//		app := … // the program, logging to slog.New(logs.Handler(nil))
//		leaktest.TestApplication(t, leaktest.Application{
//			Handler: app.Handler,
//			DB:      app.DB, // over an isolation.Pool
//			Logs:    logs,
//			Tenants: []leaktest.Tenant{
//				{Tenant: acme, Address: leaktest.Address{Host: "acme.example.com"}},
//				{Tenant: globex, Address: leaktest.Address{Host: "globex.example.com"}},
//			},
//			Scenarios: []leaktest.Scenario{{Name: "notes", Steps: []leaktest.Step{
//				{Path: "/notes", Form: map[string]string{"text": "my {{canary}}"}, Extract: map[string]leaktest.Extractor{
//					"note": leaktest.FromHeader("Location", `[^/]+$`),
//				}},
//				{Path: "/notes"},
//				{Path: "/notes/{{note}}"},
//				{Method: "DELETE", Path: "/notes/{{note}}"},
//			}}},
//		})
//	}
//
// # Canaries
//
// Where a template says {{canary}} the kit writes a word that belongs to one tenant and
// that nobody can guess: 24 letters and digits. It is looked for in status, headers and bodies, in
// rows, logs, stores and outputs of jobs; in upper and lower case, in base64, hexadecimal and UTF-16,
// escaped for URLs, HTML and JSON, wrapped into lines, and inside of gzip, deflate and zip. A canary that
// reaches another tenant is a leak, unless that tenant's own request said it.
// What a program cuts off within the first 20 letters, or encrypts, is not found.
//
// # Attacks
//
// Each step is tried by each tenant with the values of each other one: all at once, and each
// by itself at each place of the request; with its own credentials at the other's
// address; and with headers, parameters, cookies, fields, paths and host names by which programs may take it for
// the other. Credentials are never lent: what somebody can do with a stolen session is
// no question of isolation. So a tenant that has credentials is whom they belong to, and one that has none is
// whom the address names.
//
// Three things count: a foreign canary ([Leak]); rows of the other tenant that changed, or its own request
// that is refused afterwards ([Write]); and an answer by which a value that another tenant has can be
// told from one that nobody has ([Oracle]).
//
// # Changes
//
// Requests that write spoil what later ones need. So before each attack on a step that
// writes, and once for a step that reads, both tenants run the scenario anew up to the step: the
// values are those of things that exist. After the attack the victim makes the request under
// attack itself, which proves that they did.
//
// # Proof
//
// A run that reached nothing proves nothing. A step that is not answered as it should be, a tenant whose
// own canaries never came back, a route that was not exercised, a log that stayed empty: each is a
// problem, and fails the test as a leak does ([ErrUnproven]).
package leaktest
