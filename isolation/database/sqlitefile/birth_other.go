//go:build !linux

package sqlitefile

import "os"

// birthOf returns "": the system is not asked when a file was made.
func birthOf(path string) (string, error) {
	_, err := os.Lstat(path)
	return "", err
}
