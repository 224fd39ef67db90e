package main

import (
	"context"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Bars of the deep check.
const (
	rounds   = 3
	deepMost = 2.0 // times the sums over the same files
	peakMost = 40  // megabytes
	argBytes = 1 << 20
)

// contestant is one way to read every byte of a tree.
type contestant struct {
	name string
	run  func() (cost, error)
	did  []cost
}

// deepCheck compares deep scans of a tree with sums over its files: on one thread,
// and on as many as there are processors.
func deepCheck(ctx context.Context, s settings, t *table) error {
	dir := s.tree
	if dir == "" {
		dir = filepath.Join(s.dir, "tree")
		if err := phone(dir, phoneBytes); err != nil {
			return err
		}
	}
	files, err := filesOf(dir)
	if err != nil {
		return err
	}
	unix.Sync() // what is still to be written out would be written during the first scan
	time.Sleep(settled)
	cache := filepath.Join(s.dir, "tree.cache")
	first, err := scanIn(ctx, firstScan, 1, dir, cache)
	if err != nil {
		return err
	}
	t.add(fmt.Sprintf("first scan, %d files, %s", first.Opened, megabytes(first.Read)), spent(first), "")
	deep := func(hands int) *contestant {
		return &contestant{name: fmt.Sprintf("deep check, %d at a time", hands), run: func() (cost, error) {
			return scanIn(ctx, deepScan, hands, dir, cache)
		}}
	}
	sums := func(command ...string) *contestant {
		return &contestant{name: strings.Join(command, " "), run: func() (cost, error) { return sum(ctx, command, dir, files) }}
	}
	all := []*contestant{deep(1), sums("sha256sum")}
	if _, err := exec.LookPath("b3sum"); err == nil {
		all = []*contestant{deep(1), sums("b3sum", "--num-threads", "1"), deep(runtime.NumCPU()), sums("b3sum")}
	}
	if err := inTurns(ctx, all); err != nil {
		return err
	}
	reportDeep(t, all[0], all[1], false)
	if len(all) > 2 {
		reportDeep(t, all[2], all[3], true)
	}
	return nil
}

// inTurns runs all of them once to warm up, and then in turns.
func inTurns(ctx context.Context, all []*contestant) error {
	for i := range rounds + 1 {
		for _, c := range all {
			did, err := c.run()
			if err != nil {
				return err
			}
			if i > 0 {
				c.did = append(c.did, did)
			}
		}
	}
	return ctx.Err()
}

// usual is the median of each thing that was measured, and the highest peak.
func (c *contestant) usual() cost {
	var m cost
	var scan, used []time.Duration
	for _, d := range c.did {
		scan, used, m.Peak = append(scan, d.Scan), append(used, d.Used), max(m.Peak, d.Peak)
	}
	m.Scan, m.Used = median(scan), median(used)
	return m
}

// reportDeep compares two contestants. The bar is for what the daemon does beside
// what b3sum does by itself.
func reportDeep(t *table, deep, sums *contestant, barred bool) {
	d, s := deep.usual(), sums.usual()
	t.add(deep.name, spent(d), against(float64(d.Peak)/1e6, peakMost, " MB"))
	t.add(sums.name+", the same files", fmt.Sprintf("%s (processor %s)", milliseconds(s.Scan), milliseconds(s.Used)), "")
	ratio := float64(d.Scan) / float64(s.Scan)
	bar := ""
	if barred {
		bar = against(ratio, deepMost, "")
	}
	t.add("  the one : the other", fmt.Sprintf("%.2f (processor %.2f)", ratio, float64(d.Used)/float64(s.Used)), bar)
}

func spent(c cost) string {
	return fmt.Sprintf("%s (processor %s), peak %s", milliseconds(c.Scan), milliseconds(c.Used), megabytes(c.Peak))
}

// sum runs a command over the files, with as many as fit into a command line each
// time.
func sum(ctx context.Context, command []string, dir string, files []string) (cost, error) {
	var c cost
	start := time.Now()
	for len(files) > 0 {
		n, bytes := 0, 0
		for n < len(files) && bytes < argBytes {
			bytes += len(files[n]) + 1
			n++
		}
		cmd := exec.CommandContext(ctx, command[0], append(command[1:len(command):len(command)], files[:n]...)...)
		cmd.Dir = dir
		if err := cmd.Run(); err != nil {
			return c, fmt.Errorf("cannot sum the files up with %s: %w", command[0], err)
		}
		c.Used += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		files = files[n:]
	}
	c.Scan = time.Since(start)
	return c, nil
}

// filesOf lists the regular files of a tree, relative to it.
func filesOf(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		files = append(files, "./"+rel)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot list the tree: %w", err)
	}
	return files, nil
}
