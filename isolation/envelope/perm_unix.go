//go:build unix

package envelope

// permissionsCount tells whether the mode of a file says who may read it.
const permissionsCount = true
