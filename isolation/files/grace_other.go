//go:build !unix

package files

import "time"

// graceTime is how long a file may be written: there is nothing else to tell by.
const graceTime = 24 * time.Hour
