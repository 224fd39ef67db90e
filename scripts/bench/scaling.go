package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// growthMost is the largest exponent of growth that passes for linear: n log n
// from ten thousand to a million files is 1.09, and measurements vary.
const growthMost = 1.15

// scaling scans more and more small files and tells how the costs grow.
func scaling(ctx context.Context, s settings, t *table) error {
	counts := []int{10_000, 100_000}
	if s.large {
		counts = append(counts, 1_000_000)
	}
	var was [2]cost
	for i, n := range counts {
		s.logf("  %d files", n)
		is, err := scanMany(ctx, s, n)
		if err != nil {
			return err
		}
		for j, kind := range []string{"first scan", "quick scan, nothing changed"} {
			t.add(fmt.Sprintf("%s, %d small files", kind, n), perFile(is[j]), growth(i, was[j], is[j]))
		}
		was = is
	}
	return nil
}

// scanMany measures a first and a quick scan of so many files: the one of three
// that took the least of the processor, which other programs disturb less than the
// time. Of very many files there is one.
func scanMany(ctx context.Context, s settings, n int) (least [2]cost, err error) {
	dir, cache := filepath.Join(s.dir, "many"), filepath.Join(s.dir, "many.cache")
	defer os.RemoveAll(dir)
	if err := manySmall(dir, n); err != nil {
		return least, err
	}
	unix.Sync()
	time.Sleep(settled)
	for range max(1, min(rounds, 300_000/n)) {
		for j, kind := range []string{firstScan, quickScan} {
			c, err := scanIn(ctx, kind, 1, dir, cache)
			if err != nil {
				return least, err
			}
			if kind == quickScan && c.Opened != 0 {
				return least, fmt.Errorf("a quick scan has read %d files though nothing had changed", c.Opened)
			}
			if least[j].Files == 0 || c.Used < least[j].Used {
				least[j] = c
			}
		}
	}
	return least, nil
}

func perFile(c cost) string {
	return fmt.Sprintf("%s (processor %s), peak %s; per file %.1f us, %.0f bytes", milliseconds(c.Scan), milliseconds(c.Used),
		megabytes(c.Peak), float64(c.Used.Nanoseconds())/1e3/float64(c.Files), float64(c.Peak)/float64(c.Files))
}

// growth compares with the measurement before: processor time and memory ~ files^exponent.
func growth(i int, was, is cost) string {
	if i == 0 {
		return ""
	}
	more := math.Log(float64(is.Files) / float64(was.Files))
	times := math.Log(float64(is.Used)/float64(was.Used)) / more
	memory := math.Log(float64(is.Peak)/float64(was.Peak)) / more
	return fmt.Sprintf("growth: time n^%.2f, memory n^%.2f; %s", times, memory, against(max(times, memory), growthMost, ""))
}
