package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Times of a batch. quiet is how long nothing must have happened before the
// daemon is asked what it makes of what is left; patience bounds the waiting for
// the rest.
const (
	tick     = 50 * time.Millisecond
	quiet    = 3 * time.Second
	patience = time.Minute
	asks     = 2 // how often it is asked before a fault counts as missed
)

// batch is some trials at the same time in one rig: few, so that they do not
// look like one great fault.
type batch struct {
	rig    *rig
	trials []*trial
	deep   bool // the harm shows to a reading of every byte only
	heard  int  // events that were heard
	asked  int
	last   time.Time // when something happened last
}

// try does the harm, waits for what the daemon makes of it, and puts back what it
// did not.
func (b *batch) try(ctx context.Context) error {
	b.begin()
	for _, t := range b.trials {
		t.harm(ctx)
	}
	if err := b.follow(ctx); err != nil {
		return err
	}
	return b.clear(ctx)
}

// keep makes a backup, which must not take up what nobody can tell the truth of: on
// the owner's word its last good state comes back.
func (b *batch) keep(ctx context.Context) error {
	if !slices.ContainsFunc(b.trials, func(t *trial) bool { return t.kind.left && t.open() }) {
		return nil
	}
	var saved backup
	if err := b.rig.scrctl(ctx, &saved, []int{8, 9}, "backup"); err != nil {
		return err
	}
	for _, t := range b.trials {
		if !t.kind.left || !t.open() {
			continue
		}
		if t.kind.fresh {
			t.whole = slices.ContainsFunc(saved.Skipped, func(s string) bool { return strings.HasPrefix(s, t.v.path+": ") })
			continue
		}
		path := t.v.path
		if t.kind.when == massive {
			path = b.rig.root(t.class)
		}
		var back restored
		if err := b.rig.scrctl(ctx, &back, []int{8}, "reprovision", "--yes", "--path", path); err != nil {
			return err
		}
		if t.whole = t.v.whole(); !t.whole {
			t.unkept = fmt.Sprintf("the backup held %q and skipped %q; brought back: %+v; %s", saved.Held, saved.Skipped, back, t.v.differs())
		}
	}
	return nil
}

// begin listens from now on.
func (b *batch) begin() { b.heard, b.last = b.rig.monitor.mark(), time.Now() }

// follow waits until every trial has come to its end, or will come to none.
func (b *batch) follow(ctx context.Context) error {
	if b.deep {
		if err := b.ask(ctx); err != nil {
			return err
		}
		b.asked = 0
	}
	for end := time.Now().Add(patience); time.Now().Before(end); {
		b.listen()
		if b.done() {
			return nil
		}
		if time.Since(b.last) > quiet {
			if b.asked == asks && b.hopeless() {
				return nil
			}
			if err := b.ask(ctx); err != nil {
				return err
			}
		}
		if err := pause(ctx, tick); err != nil {
			return err
		}
	}
	return nil
}

// listen takes in the events and looks at the files.
func (b *batch) listen() {
	news, _ := b.rig.monitor.since(b.heard)
	b.heard += len(news)
	for _, e := range news {
		b.last = time.Now()
		for _, t := range b.trials {
			t.hear(e)
		}
	}
	for _, t := range b.trials {
		if t.open() && !t.whole && t.v.whole() {
			t.whole, b.last = true, time.Now()
		}
	}
}

func (b *batch) done() bool {
	for _, t := range b.trials {
		if !t.done() {
			return false
		}
	}
	return true
}

// hopeless tells whether nothing is left but trials that the daemon makes
// nothing of, and what it called damage and does not restore.
func (b *batch) hopeless() bool {
	for _, t := range b.trials {
		if !t.done() && t.found && time.Since(t.since) < patience/2 {
			return false
		}
	}
	return true
}

// ask has the daemon look, and takes note of what it says of the trials that no
// event was about. A daemon that cannot say is no reason to stop.
func (b *batch) ask(ctx context.Context) error {
	rep, err := b.rig.check(ctx, b.deep)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	b.listen()
	b.asked++
	b.last = time.Now()
	for _, t := range b.trials {
		f := rep.find(t.v.path)
		switch {
		case !t.open() || t.whole || t.found && !t.vague:
		case err != nil:
			t.verdict, t.reason = "nothing", err.Error()
		case f.Verdict == "erased" || f.Verdict == "corrupted" || slices.Contains(t.kind.want, f.Verdict):
			t.judge(f.Verdict, f.Reason, 0)
		case t.found && t.v.path == b.rig.root(t.class): // the summary was about this one
		default: // a summary was not about this one
			t.found, t.vague, t.after, t.verdict, t.reason = false, false, 0, f.Verdict, f.Reason
		}
	}
	return nil
}

// clear puts back what the daemon did not, and waits until it knows that all is
// well: only then is it told of the same again.
func (b *batch) clear(ctx context.Context) error {
	if err := b.keep(ctx); err != nil {
		return err
	}
	healed := false
	for _, t := range b.trials {
		if t.open() && t.whole && len(t.v.left) == 0 && !t.kind.left {
			continue
		}
		healed = true
		if err := t.v.heal(); err != nil {
			return err
		}
	}
	if healed {
		if _, err := b.rig.check(ctx, false); err != nil {
			return err
		}
	}
	for end := time.Now().Add(patience); time.Now().Before(end); {
		is, err := b.rig.status(ctx)
		if err != nil || is.Activity == "idle" && is.Damaged == 0 {
			return err
		}
		if err := pause(ctx, tick); err != nil {
			return err
		}
	}
	return nil
}
