//go:build !unix

package envelope

// permissionsCount tells whether the mode of a file says who may read it. Here
// access lists do, which Go does not show.
const permissionsCount = false
