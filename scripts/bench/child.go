package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// settled is how long a file must have been left alone for the measured scans to
// trust the cache about it. Nothing writes to the trees while they are measured.
const settled = 100 * time.Millisecond

// kinds of scan that a child makes.
const (
	firstScan = "first" // without a cache; writes it
	quickScan = "quick" // with the cache
	deepScan  = "deep"  // with the cache, reading every byte all the same
)

// cost is what a scan took.
type cost struct {
	Scan    time.Duration `json:"scan"`    // the scan alone
	Used    time.Duration `json:"used"`    // of the processor, by the scan alone
	Process time.Duration `json:"process"` // from start to end, the reading of the cache included
	Peak    int64         `json:"peak"`    // bytes resident at most
	Files   int           `json:"files"`   // in the manifest's cache
	Read    int64         `json:"read"`    // bytes hashed
	Opened  int64         `json:"opened"`  // files hashed
}

// scanIn runs a child that scans.
func scanIn(ctx context.Context, kind string, hands int, dir, cache string) (cost, error) {
	self, err := os.Executable()
	if err != nil {
		return cost{}, fmt.Errorf("cannot find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, "scan", kind, strconv.Itoa(hands), dir, cache)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	start := time.Now()
	raw, err := cmd.Output()
	took := time.Since(start)
	if err != nil {
		return cost{}, fmt.Errorf("cannot scan %s: %w: %s", dir, err, bytes.TrimSpace(errs.Bytes()))
	}
	var c cost
	if err := json.Unmarshal(raw, &c); err != nil {
		return cost{}, fmt.Errorf("cannot read what the scan took: %w", err)
	}
	c.Process = took
	return c, nil
}

// scanChild is the child: scan KIND HANDS DIR CACHE.
func scanChild(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 4 {
		return errUsage
	}
	hands, err := strconv.Atoi(args[1])
	if err != nil {
		return errUsage
	}
	kind, cache := args[0], scan.Cache{}
	if kind != firstScan {
		raw, err := os.ReadFile(args[3])
		if err == nil {
			err = cache.Unmarshal(raw)
		}
		if err != nil {
			return fmt.Errorf("cannot read the cache: %w", err)
		}
	}
	res, c, err := scanTree(ctx, args[2], cache, scan.Options{Deep: kind == deepScan, Settle: settled, Hands: hands})
	if err != nil {
		return err
	}
	if kind == firstScan { // after the peak was read: it is no part of the scan
		if err := keepCache(res.Cache, args[3]); err != nil {
			return err
		}
	}
	return json.NewEncoder(out).Encode(c)
}

// scanTree scans a tree as the device's daemon does.
func scanTree(ctx context.Context, dir string, cache scan.Cache, opts scan.Options) (scan.Result, cost, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return scan.Result{}, cost{}, fmt.Errorf("cannot find the tree: %w", err)
	}
	space, err := userdata.NewSpace([]userdata.Root{{Name: "tree", Class: userdata.UserData, Path: path}})
	if err != nil {
		return scan.Result{}, cost{}, fmt.Errorf("cannot use the tree: %w", err)
	}
	scanner := scan.New(space, time.Now, detect.Examiner())
	before, err := usageOf(os.Getpid())
	if err != nil {
		return scan.Result{}, cost{}, err
	}
	start := time.Now()
	res, err := scanner.Scan(ctx, cache, opts)
	c := cost{Scan: time.Since(start), Files: res.Cache.Len(), Read: res.BytesRead, Opened: res.FilesRead}
	for _, p := range res.Problems {
		err = errors.Join(err, p)
	}
	for _, r := range res.Roots {
		err = errors.Join(err, r.Err)
	}
	after, failed := usageOf(os.Getpid())
	c.Used = after.since(before).cpu
	peak, none := peakOf("self")
	c.Peak = peak
	return res, c, errors.Join(err, failed, none)
}

func keepCache(c scan.Cache, file string) error {
	raw, err := c.Marshal()
	if err == nil {
		err = os.WriteFile(file, raw, 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot keep the cache: %w", err)
	}
	return nil
}
