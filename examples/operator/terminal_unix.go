//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// terminalWidth returns the columns of a terminal, and whether file is one.
func terminalWidth(file *os.File) (int, bool) {
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ) //nolint:gosec // descriptors are small
	if err != nil {
		return 0, false
	}
	return int(size.Col), true
}
