package backup

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Clock reads the clocks of this machine. CLOCK_BOOTTIME counts sleep, which
// Go's own monotonic clock does not.
type Clock struct {
	boot string
	now  func() time.Time
}

// bootFile names the boot; the kernel makes it up at each.
const bootFile = "/proc/sys/kernel/random/boot_id"

// NewClock prepares a clock; now tells the time of day.
func NewClock(now func() time.Time) (Clock, error) {
	raw, err := os.ReadFile(bootFile)
	if err != nil {
		return Clock{}, fmt.Errorf("cannot tell which boot this is: %w", err)
	}
	if _, err := bootTime(); err != nil {
		return Clock{}, fmt.Errorf("cannot read the clock: %w", err)
	}
	return Clock{boot: strings.TrimSpace(string(raw)), now: now}, nil
}

// Read looks at the clocks.
func (c Clock) Read() Reading {
	up, _ := bootTime() // NewClock has seen that the kernel has this clock
	return Reading{Boot: c.boot, Up: up, Wall: c.now().Round(0)}
}

func bootTime() (time.Duration, error) {
	var ts unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano()), err
}
