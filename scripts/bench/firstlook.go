package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// firstLooks measures what the device's daemon takes that begins with many files of which
// it knows nothing, until it has judged them all.
func firstLooks(ctx context.Context, s settings, t *table) error {
	counts := []int{100_000}
	if s.large {
		counts = append(counts, 1_000_000)
	}
	for _, n := range counts {
		s.logf("  %d files", n)
		if err := firstLook(ctx, s, n, t); err != nil {
			return err
		}
	}
	return nil
}

func firstLook(ctx context.Context, s settings, n int, t *table) (err error) {
	s.dir = filepath.Join(s.dir, fmt.Sprint("look", n))
	r, err := up(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.down()) }()
	pid, err := r.pid("reprovisiond")
	if err == nil {
		err = end(ctx, pid)
	}
	if err == nil {
		err = manySmall(filepath.Join(r.dir, "phone", "user-data"), n)
	}
	if err != nil {
		return err
	}
	start := time.Now()
	if err := r.run(ctx, "scripts/sandbox", "start", r.dir, "reprovisiond"); err != nil {
		return err
	}
	if err := r.scrctl(ctx, 0, "check"); err != nil {
		return err
	}
	c := cost{Scan: time.Since(start), Files: n}
	if pid, err = r.pid("reprovisiond"); err != nil {
		return err
	}
	used, err := usageOf(pid)
	if err == nil {
		c.Peak, err = peakOf(fmt.Sprint(pid))
	}
	if err != nil {
		return err
	}
	c.Used = used.cpu
	t.add(fmt.Sprintf("daemon, from its start to the verdict on %d small new files", n), perFile(c), "")
	return nil
}
