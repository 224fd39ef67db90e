package device

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// boot is one start of the system: its boot ID and when it was, in nanoseconds since the epoch.
type boot struct {
	id string
	at int64
}

// systemStart tells when this system started; the zero boot where the kernel does not say.
func systemStart(now time.Time) (boot, error) {
	raw, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return boot{}, fmt.Errorf("cannot tell one start of the system from another: %w", err)
	}
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return boot{}, fmt.Errorf("cannot tell how long the system has been up: %w", err)
	}
	return boot{strings.TrimSpace(string(raw)), now.UnixNano() - up.Nano()}, nil
}

// begin takes note that the daemon runs. Where it did so in an earlier start of the system,
// and came to no orderly end, the system went down with what had not been written out.
func (b *book) begin(s boot) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.id == "" {
		return nil
	}
	var running string
	known, err := b.state.load(keyRunning, &running)
	if err != nil {
		return err
	}
	if known && running != s.id {
		b.crashed = s.at
		if err := b.state.store(keyCrashed, s.at); err != nil {
			return err
		}
	}
	return b.state.store(keyRunning, s.id)
}
