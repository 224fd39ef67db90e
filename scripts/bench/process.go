package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// peakOf is the most that a process ever had resident, in bytes; pid may be "self".
// What wait4 says of a child is no use for it: that has the parent's memory, from
// before the exec, in it.
func peakOf(pid string) (int64, error) {
	n, err := fieldOf(filepath.Join("/proc", pid, "status"), "VmHWM:")
	return n << 10, err
}

// usage is what a process has used of the processor so far.
type usage struct {
	cpu   time.Duration
	wakes int64 // times that a thread has slept and was woken
}

func (u usage) since(o usage) usage { return usage{cpu: u.cpu - o.cpu, wakes: u.wakes - o.wakes} }

// usageOf reads the clock that Linux keeps for each process, which is finer than
// the ticks in /proc.
func usageOf(pid int) (usage, error) {
	var u usage
	var at unix.Timespec
	clock := int32(^pid<<3 | 2) // CPUCLOCK_SCHED of the process, as clock_getcpuclockid makes it
	if err := unix.ClockGettime(clock, &at); err != nil {
		return u, fmt.Errorf("cannot read the processor time of process %d: %w", pid, err)
	}
	u.cpu = time.Duration(at.Nano())
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return u, fmt.Errorf("cannot list the threads of process %d: %w", pid, err)
	}
	for _, file := range threads {
		n, err := fieldOf(file, "voluntary_ctxt_switches:")
		if err != nil {
			return u, err
		}
		u.wakes += n
	}
	return u, nil
}

// fieldOf reads a number of a file of /proc.
func fieldOf(file, field string) (int64, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, fmt.Errorf("cannot look at a process: %w", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) > 1 && words[0] == field {
			return strconv.ParseInt(words[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("cannot find %s in %s", field, file)
}
