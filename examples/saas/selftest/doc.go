// Package selftest drives the whole program over HTTP, the way browsers do, and says
// line by line what it checked. It knows pages and addresses, and nothing of how the
// program keeps tenants apart: what holds here holds in every mode.
package selftest
