// Package layering checks which package of a module may import which, as
// docs/design.md lays down:
//
//   - the cores link the standard library, tenant and a short list of light
//     modules, and nothing else;
//   - tenant imports no other package of the module, the other cores import tenant
//     alone, never each other, and what lies below a core imports that core's
//     tree and tenant;
//   - examples and docs are imported by nobody;
//   - test helpers are imported by tests and by other test helpers alone.
//
// Its own test runs the check on this module.
package layering
