// Package signup turns a form into a workspace.
//
// A workspace is made in three steps: its record is created with
// tenant.StatusProvisioning, which claims the address; its home is provisioned; its
// status becomes tenant.StatusActive. Until then its requests are answered with 503.
//
// Each step can be repeated. Whoever sends the same form again, and every start of
// the program ([Service.Recover]), goes on where the last attempt failed. What stays
// unfinished for [GiveUpAfter] is removed again.
package signup
