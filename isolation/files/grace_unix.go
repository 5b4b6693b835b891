//go:build unix

package files

import "time"

// graceTime is how old a file must be that nobody has locked.
const graceTime = time.Minute
