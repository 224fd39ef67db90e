package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
)

// scrctl runs a command and decodes the JSON document that it prints into v,
// which may be nil. Of the exit codes only the given ones and 0 are no error.
func (r *rig) scrctl(ctx context.Context, v any, fine []int, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	cmd := r.command(ctx, filepath.Join(r.bin, "scrctl"), append([]string{"--json", "--no-input"}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && slices.Contains(fine, exit.ExitCode())) {
		return fmt.Errorf("scrctl %s: %w: %s%s", args[0], err, out, errs.Bytes())
	}
	if v == nil {
		return nil
	}
	if err := json.Unmarshal(out, v); err != nil {
		return fmt.Errorf("scrctl %s: cannot read its answer: %w", args[0], err)
	}
	return nil
}

// finding is a verdict on one item, as check and monitor give it.
type finding struct {
	Path, Class, Verdict, Reason string
}

// report is what check prints.
type report struct {
	Items  []finding
	Counts map[string]int
}

// find returns what a report says of a file; "intact" when it says nothing.
func (r report) find(path string) finding {
	for _, f := range r.Items {
		if f.Path == path {
			return f
		}
	}
	return finding{Path: path, Verdict: "intact"}
}

// damage are the exit codes of a check that has found damage.
func damage() []int { return []int{20} }

// check has the daemon look, at every byte if deep.
func (r *rig) check(ctx context.Context, deep bool) (report, error) {
	args := []string{"check"}
	if deep {
		args = append(args, "--deep")
	}
	var rep report
	err := r.scrctl(ctx, &rep, damage(), args...)
	return rep, err
}

// status is a part of what status prints.
type status struct {
	Activity string
	InRange  bool `json:"in_range"`
	Damaged  int
	Waiting  string
	Watch    string
}

func (r *rig) status(ctx context.Context) (status, error) {
	var st status
	err := r.scrctl(ctx, &st, nil, "status")
	return st, err
}

// backup is what a backup says of what it did not take as it is: PATH: REASON.
type backup struct{ Held, Skipped []string }

// restored is what reprovision says of what it brought back, and what it did not.
type restored struct {
	Verified     int
	Failed, Kept []finding
}
