package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"
)

// How many deeds are done between two looks, how many of them at a time, and how
// long the daemon has to notice them by itself (docs/detection.md: two seconds).
const (
	batchSize = 90
	atATime   = 12
	lookTime  = 3 * time.Second
)

// campaign is a number of deeds in one sandbox.
type campaign struct {
	s     settings
	rig   *rig
	deeds []*deed
	alone bool     // each act's deeds are a batch of their own
	fat   bool     // on a FAT file system
	unfit error    // why none of its acts can be done here
	wrong []string // that is no deed's
}

// acts runs the catalogue of legitimate acts: the ordinary ones in one sandbox,
// and beside it, in others, those that touch many files and those on FAT.
func acts(ctx context.Context, s settings) (outcome, error) {
	temp, err := os.MkdirTemp("", "acts-")
	if err != nil {
		return outcome{}, fmt.Errorf("cannot make a directory: %w", err)
	}
	defer os.RemoveAll(temp)
	s.logf = timed(s.logf)
	all, skipped := possible(s)
	campaigns := []*campaign{{s: s}, {s: s, alone: true}, {s: s, fat: true}}
	errs := make([]error, len(campaigns))
	var running sync.WaitGroup
	for i, c := range campaigns {
		running.Go(func() { errs[i] = c.run(ctx, filepath.Join(temp, fmt.Sprint(i)), all) })
	}
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		return outcome{}, err
	}
	for _, c := range campaigns {
		if c.unfit != nil {
			skipped = append(skipped, c.unfit.Error())
		}
	}
	return tell(ctx, s, skipped, campaigns), nil
}

// timed puts the time since now before each line.
func timed(logf func(string, ...any)) func(string, ...any) {
	start := time.Now()
	return func(format string, args ...any) {
		logf("%6.1f s  %s", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
	}
}

// run does all of a campaign's acts.
func (c *campaign) run(ctx context.Context, dir string, all []act) (err error) {
	var mine []act
	for _, a := range all {
		if (a.mass || a.doubted) == c.alone && a.fat == c.fat {
			mine = append(mine, a)
		}
	}
	if len(mine) == 0 {
		return nil
	}
	if c.rig, err = up(ctx, c.s, dir, c.shape()); errors.Is(err, errSkip) && c.fat {
		c.unfit = fmt.Errorf("%d acts on FAT: %w", len(mine), err)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.rig.down()) }()
	if err := c.rig.configure(ctx, shippedSettle); err != nil {
		return err
	}
	if err := c.begin(ctx, mine); err != nil {
		return err
	}
	for _, batch := range c.batches() {
		if err := c.doBatch(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

func (c *campaign) shape() shape {
	if c.fat {
		return fatShape()
	}
	return shape{}
}

// shippedSettle gives the daemon the time between two looks that it has where
// nobody has set one, instead of the sandbox's shorter one.
func shippedSettle(toml string) string {
	return regexp.MustCompile(`(?m)^settle = .*\n`).ReplaceAllString(toml, "")
}

// begin lays out the files, saves them, and waits until they are old enough for
// the rules that need it.
func (c *campaign) begin(ctx context.Context, all []act) error {
	for i, a := range all {
		deeds, err := deedsOf(c.rig, i, a)
		if err != nil {
			return err
		}
		c.deeds = append(c.deeds, deeds...)
	}
	c.s.logf("%d acts, %d with each class counted, are prepared", len(all), len(c.deeds))
	inParallel(c.deeds, atATime, func(d *deed) { d.prepare(ctx) })
	written := time.Now()
	if err := c.rig.pair(ctx); err != nil {
		return err
	}
	if err := c.rig.backup(ctx); err != nil {
		return err
	}
	c.s.logf("saved; waiting for %v", settledAfter)
	return c.rig.settle(ctx, written)
}

// batches divides the deeds.
func (c *campaign) batches() [][]*deed {
	var all [][]*deed
	for i, d := range c.deeds {
		fresh := len(all) == 0
		if !fresh {
			last := all[len(all)-1]
			fresh = c.alone && c.deeds[i-1].act.name != d.act.name || len(last) >= batchSize
		}
		if fresh {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], d)
	}
	return all
}

// doBatch does some deeds, lets the daemon look, of itself and when asked, and
// compares what there is with what the deeds had left.
func (c *campaign) doBatch(ctx context.Context, batch []*deed) error {
	from := c.rig.monitor.mark()
	inParallel(batch, atATime, func(d *deed) { d.do(ctx) })
	if err := pause(ctx, lookTime); err != nil {
		return err
	}
	seen, err := c.rig.check(ctx, true)
	if err != nil {
		return err
	}
	doubted := batch[0].act.doubted
	if err := c.quiet(ctx, doubted); err != nil {
		return err
	}
	inParallel(batch, atATime, func(d *deed) { d.compare(ctx) })
	if doubted {
		if err := c.mean(ctx, batch); err != nil {
			return err
		}
	}
	if err := c.save(ctx); err != nil {
		return err
	}
	events, _ := c.rig.monitor.since(from)
	c.note(batch, seen, events)
	c.s.logf("%d done, the last of them: %s", len(batch), batch[len(batch)-1])
	return ctx.Err()
}

// mean says for the owner that they mean what they have done, after which nothing is in doubt.
func (c *campaign) mean(ctx context.Context, batch []*deed) error {
	args := []string{"forget"}
	for _, d := range batch {
		args = append(args, d.dir)
	}
	if err := c.rig.scrctl(ctx, nil, nil, args...); err != nil {
		return err
	}
	return c.quiet(ctx, false)
}

// quiet waits until the daemon has done what it thinks has to be done, and, where there is
// nothing to ask the owner about, finds no damage.
func (c *campaign) quiet(ctx context.Context, doubts bool) error {
	for deadline := time.Now().Add(callTime); ; {
		st, err := c.rig.status(ctx)
		if err != nil {
			return err
		}
		if st.Activity == "idle" && (st.Damaged == 0 || doubts) {
			return nil
		}
		if time.Now().After(deadline) {
			c.wrong = append(c.wrong, fmt.Sprintf("the daemon finds %d damaged items, is %q, and waits: %s", st.Damaged, st.Activity, st.Waiting))
			return nil
		}
		if err := pause(ctx, 300*time.Millisecond); err != nil {
			return err
		}
	}
}

// note gives the verdicts to the deeds that they are about, and finds those that
// were undone before it could be seen what they had left.
func (c *campaign) note(batch []*deed, seen report, events []event) {
	for _, d := range batch {
		for _, f := range seen.Items {
			if d.has(f.Path) && (d.found.Verdict == "" || f.Verdict != "changed") {
				d.found = f
			}
		}
	}
	c.attribute(batch, events)
	for _, d := range batch {
		switch {
		case d.failed != nil && len(d.told) > 0:
			d.undone, d.failed = append(d.undone, d.failed.Error()), nil
		case !d.idle() && d.found.Verdict == "" && !d.act.traceless:
			d.undone = append(d.undone, "there is no trace of it")
		}
	}
}

// attribute gives the events of damage to the deeds on whose files they are.
func (c *campaign) attribute(batch []*deed, events []event) {
	for _, e := range events {
		if e.Event != "verdict" {
			continue
		}
		if e.Path == "" && !(batch[0].act.doubted && e.Suspected) {
			c.wrong = append(c.wrong, fmt.Sprintf("%q of %d items, after %s and others", e.Verdict, e.Items, batch[0]))
		}
		for _, d := range c.deeds {
			if e.Path != "" && d.has(e.Path) {
				d.suspected = d.suspected || e.Suspected
				if e.Suspected && d.act.doubted {
					continue
				}
				d.told = append(d.told, finding{Path: e.Path, Class: e.Class, Verdict: e.Verdict, Reason: e.Reason})
			}
		}
	}
}

// save makes a backup, as a device does all the time: one that holds something
// back has taken it for damage.
func (c *campaign) save(ctx context.Context) error {
	var saved backup
	if err := c.rig.scrctl(ctx, &saved, []int{8, 9}, "backup"); err != nil {
		return err
	}
	for _, f := range saved.Held {
		c.wrong = append(c.wrong, "the backup keeps the old state of "+f)
	}
	for _, f := range saved.Skipped {
		c.wrong = append(c.wrong, "the backup leaves out "+f)
	}
	return nil
}
