package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/reprovision/reprovision/pkg/scan"
)

// What is tried in the sandbox.
const (
	sandboxBytes = phoneBytes // of its files
	cuts         = 20
	verdictMost  = 1000 // milliseconds, the median
	idleFor      = 20 * time.Second
	patience     = 30 * time.Second // for one verdict, and for one restore
)

// watching measures in a sandbox what the daemon uses while nothing happens, and
// how soon it knows of damage.
func watching(ctx context.Context, s settings, t *table) (err error) {
	r, err := up(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.down()) }()
	s.logf("  idle without files")
	empty, err := r.idle(ctx)
	if err != nil {
		return err
	}
	s.logf("  %d files, to be left alone for %s", phoneFiles, scan.DefaultSettle)
	if err := r.fill(ctx); err != nil {
		return err
	}
	s.logf("  idle with them")
	full, err := r.idle(ctx)
	if err != nil {
		return err
	}
	s.logf("  %d service books cut to nothing, one after the other", cuts)
	took, err := r.cutAll(ctx)
	if err != nil {
		return err
	}
	reportWatching(t, empty, full, took)
	if !r.own {
		t.add("  other programs use the same file system, and wake it", "", "")
	}
	return r.reportPeak(ctx, t)
}

func reportWatching(t *table, empty, full usage, took []time.Duration) {
	half := median(took)
	t.add(fmt.Sprintf("hint to verdict, %d files, %d times", phoneFiles, len(took)),
		fmt.Sprintf("median %s, max %s", milliseconds(half), milliseconds(slices.Max(took))),
		against(float64(half.Microseconds())/1000, verdictMost, " ms"))
	line := func(u usage) string {
		return fmt.Sprintf("%s of processor time, %d wake-ups in %s", milliseconds(u.cpu), u.wakes, idleFor)
	}
	t.add("daemon while nothing happens, no file", line(empty), "")
	t.add(fmt.Sprintf("daemon while nothing happens, %d files", phoneFiles), line(full), "")
}

// reportPeak tells the most memory that the daemon had so far, a backup of all included,
// and what one has that was started anew and makes deep checks.
func (r *rig) reportPeak(ctx context.Context, t *table) error {
	pid, err := r.pid("reprovisiond")
	if err != nil {
		return err
	}
	peak, err := peakOf(fmt.Sprint(pid))
	if err != nil {
		return err
	}
	t.add("daemon, peak memory after all this, with the backup", megabytes(peak), "")
	if err := end(ctx, pid); err != nil {
		return err
	}
	if err := r.run(ctx, "scripts/sandbox", "start", r.dir, "reprovisiond"); err != nil {
		return err
	}
	if pid, err = r.pid("reprovisiond"); err != nil {
		return err
	}
	for range rounds {
		if err := r.scrctl(ctx, 0, "check", "--deep"); err != nil {
			return err
		}
	}
	if peak, err = peakOf(fmt.Sprint(pid)); err != nil {
		return err
	}
	t.add(fmt.Sprintf("daemon, peak memory of a start and %d deep checks, %s", rounds, megabytes(sandboxBytes)),
		megabytes(peak), against(float64(peak)/1e6, peakMost, " MB"))
	return nil
}

// idle is what the device's daemon uses while it is left alone.
func (r *rig) idle(ctx context.Context) (usage, error) {
	pid, err := r.pid("reprovisiond")
	if err != nil {
		return usage{}, err
	}
	if err := pause(ctx, 3*time.Second); err != nil { // what was asked of it has its end
		return usage{}, err
	}
	before, err := usageOf(pid)
	if err != nil {
		return usage{}, err
	}
	if err := pause(ctx, idleFor); err != nil {
		return usage{}, err
	}
	after, err := usageOf(pid)
	return after.since(before), err
}

// fill puts the files there, waits until the daemon takes them for known, and
// saves them.
func (r *rig) fill(ctx context.Context) error {
	if err := phone(filepath.Join(r.dir, "phone"), sandboxBytes); err != nil {
		return err
	}
	if err := pause(ctx, scan.DefaultSettle+time.Second); err != nil {
		return err
	}
	if err := r.scrctl(ctx, 0, "check"); err != nil {
		return err
	}
	return r.scrctl(ctx, 9, "backup") // 9: too much for the card, but safe at the reader
}

// cutAll cuts service books, one after the other.
func (r *rig) cutAll(ctx context.Context) ([]time.Duration, error) {
	events, stop, err := r.follow(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	var took []time.Duration
	for i := range cuts {
		d, err := cutOne(ctx, events, filepath.Join(r.dir, "phone", bookName(i)))
		if err != nil {
			return nil, err
		}
		took = append(took, d)
	}
	return took, nil
}

// cutOne cuts a file to nothing and returns how long it took until the verdict on
// it was there; it waits until the file is whole again.
func cutOne(ctx context.Context, events <-chan event, file string) (time.Duration, error) {
	whole, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("cannot read the service book: %w", err)
	}
	cut := time.Now()
	if err := os.Truncate(file, 0); err != nil {
		return 0, fmt.Errorf("cannot cut the service book: %w", err)
	}
	found, err := await(ctx, events, func(e event) bool { return e.Event == "verdict" && strings.HasSuffix(file, e.Path) && e.Path != "" })
	if err != nil {
		return 0, err
	}
	if _, err = await(ctx, events, func(e event) bool { return e.Event == "reprovision" && e.Restored > 0 }); err != nil {
		return 0, err
	}
	again, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(again, whole) {
		return 0, errors.Join(fmt.Errorf("cannot go on: %s was not restored", file), err)
	}
	return found.at.Sub(cut), nil
}

// await takes events until one is as it is wanted.
func await(ctx context.Context, events <-chan event, wanted func(event) bool) (event, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		select {
		case e, open := <-events:
			if !open {
				return e, errors.New("cannot follow the events: monitor has ended")
			}
			if wanted(e) {
				return e, nil
			}
		case <-ctx.Done():
			return event{}, fmt.Errorf("cannot wait any longer for the daemon: %w", ctx.Err())
		}
	}
}

// end ends a process and waits until it is gone.
func end(ctx context.Context, pid int) error {
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("cannot stop process %d: %w", pid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	for syscall.Kill(pid, 0) == nil {
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("cannot stop process %d: %w", pid, err)
		}
	}
	return nil
}

// pause waits, or ends with the context.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
