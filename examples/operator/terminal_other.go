//go:build !unix

package main

import "os"

// terminalWidth finds no terminal, so that progress is printed as lines.
func terminalWidth(*os.File) (int, bool) { return 0, false }
