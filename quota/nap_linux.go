package quota

import (
	"syscall"
	"time"
)

// longNap is from when on a timer is precise enough.
const longNap = 10 * time.Millisecond

// nap sleeps for d. In a process that has nothing else to do the runtime's timers are up
// to a millisecond late; the kernel's are not.
func nap(d time.Duration) {
	if d >= longNap {
		time.Sleep(d)
		return
	}
	left := syscall.NsecToTimespec(int64(d))
	for syscall.Nanosleep(&left, &left) == syscall.EINTR {
	}
}
