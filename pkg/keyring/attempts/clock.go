package attempts

import (
	"crypto/sha256"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Clock tells how long this host has been up, suspended or not, and which start of it
// that was. Unlike the time of day nobody sets it, and it does not jump.
type Clock func() (boot string, up time.Duration)

// bootID is the kernel's name for this start of the host.
const bootID = "/proc/sys/kernel/random/boot_id"

// HostClock is the clock of this host. Where the kernel does not name its starts, each
// call of HostClock counts as one, so that a pause begins anew with the program.
func HostClock() Clock {
	boot, err := os.ReadFile(bootID)
	var offset time.Duration
	if err != nil {
		boot = []byte(time.Now().String())
		offset = uptime()
	}
	name := string(boot)
	return func() (string, time.Duration) { return name, uptime() - offset }
}

// uptime never fails on a kernel that this program runs on; if it did, no time passed.
func uptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// moment is a point in the life of the host.
type moment struct {
	boot [8]byte // of the digest of its name
	up   time.Duration
}

func (c Clock) moment() moment {
	boot, up := c()
	digest := sha256.Sum256([]byte(boot))
	return moment{[8]byte(digest[:]), up}
}

// since is how long ago a moment was, at least: of one before the host was started
// anew it is known that it was before that.
func (c Clock) since(m moment) time.Duration {
	now := c.moment()
	if now.boot != m.boot {
		return max(0, now.up)
	}
	return max(0, now.up-m.up)
}
