package device

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// A scrub reads in portions, so that stopping it loses little.
const (
	scrubBytes = 32 << 20
	scrubItems = 1000
)

// scrubPause is the wait after a scrub that failed.
const scrubPause = 10 * time.Minute

// scrubber reads every byte of what was saved, and is to be, from time to time, at a bounded
// rate and beside everything else. It judges nothing: it makes the next look see
// what is on the medium. It counts from the last scrub that was finished, so
// that restarts neither skip nor repeat one.
func (d *Daemon) scrubber(ctx context.Context) error {
	every := d.cfg.Detect.ScrubEvery.Duration
	if every == 0 {
		return nil
	}
	for {
		if err := sleep(ctx, d.untilScrub(every)); err != nil {
			return err
		}
		if err := d.scrub(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			d.log.Error("cannot scrub the user data", "error", err)
			if err := sleep(ctx, min(scrubPause, every)); err != nil {
				return err
			}
		}
	}
}

func (d *Daemon) untilScrub(every time.Duration) time.Duration {
	var last int64
	known, err := d.state.load(keyScrubbed, &last)
	if err == nil && !known {
		last = d.now().Unix() // a new device: its files are read for the first backup anyway
		err = d.state.store(keyScrubbed, last)
	}
	if err != nil {
		d.log.Warn("cannot tell when the last scrub was", "error", err)
		return min(scrubPause, every)
	}
	return min(max(time.Unix(last, 0).Add(every).Sub(d.now()), 0), every)
}

func (d *Daemon) scrub(ctx context.Context) error {
	defer idle()()
	items := d.afterLastScrub(d.book.everything())
	for len(items) > 0 {
		var names []userdata.Name
		for bytes := int64(0); len(items) > 0 && len(names) < scrubItems && bytes < scrubBytes; items = items[1:] {
			if items[0].Size > 0 {
				names = append(names, items[0].Name)
				bytes += items[0].Size
			}
		}
		opts := scan.Options{Deep: true, Rate: d.cfg.Detect.ScrubRate}
		found, err := d.scanner.ScanNames(ctx, names, d.book.cache(), opts)
		if err != nil {
			return err
		}
		d.book.reread(names, found)
		if len(names) > 0 {
			if err := d.state.store(keyScrubAt, names[len(names)-1]); err != nil {
				return err
			}
		}
	}
	if err := d.state.drop(keyScrubAt); err != nil {
		return err
	}
	d.request(look{why: "scrub", urgent: true})
	if err := d.tidy(ctx); err != nil {
		d.log.Warn("cannot tidy up the quarantine", "error", err)
	}
	return d.state.store(keyScrubbed, d.now().Unix())
}

// afterLastScrub leaves out what an interrupted scrub has read already.
func (d *Daemon) afterLastScrub(items []manifest.Item) []manifest.Item {
	var at userdata.Name
	if known, err := d.state.load(keyScrubAt, &at); err != nil || !known {
		return items
	}
	i, found := slices.BinarySearchFunc(items, at, func(it manifest.Item, n userdata.Name) int {
		return strings.Compare(string(it.Name), string(n))
	})
	if found {
		i++
	}
	return items[i:]
}

// What ioprio_set takes, from linux/ioprio.h; no package has it.
const (
	ioprioWhoProcess = 1
	ioprioClassShift = 13
	ioprioClassIdle  = 3
)

// idle gives this goroutine a thread of its own, which reads only when nobody else
// wants the medium. Where the kernel refuses, the bounded rate has to do.
func idle() (restore func()) {
	runtime.LockOSThread()
	set := func(priority uintptr) { _, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, ioprioWhoProcess, 0, priority) }
	set(ioprioClassIdle << ioprioClassShift)
	return func() {
		set(0)
		runtime.UnlockOSThread()
	}
}

// tidy drops what has been in the quarantine for long enough, while no restore
// puts anything into it.
func (d *Daemon) tidy(ctx context.Context) error {
	turn, err := d.ops.begin(ctx, activityCheck, rankIdle)
	if err != nil {
		return err
	}
	defer turn.end()
	return d.quarantine.Expire()
}
