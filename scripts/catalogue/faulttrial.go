package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// trial is one kind of fault in one class: a cell of the table.
type trial struct {
	kind  kind
	class userdata.Class

	v       *victim
	at      time.Time // when the harm was done
	found   bool
	since   time.Time // when it was found
	verdict string    // of the daemon
	reason  string
	vague   bool          // the verdict is that of a summary
	after   time.Duration // until it said so; 0 when it only did on being asked
	whole   bool          // came back by itself, byte for byte
	unkept  string        // why it did not, though the owner said so
	skipped error
	failed  error // the trial itself
}

// ok tells whether the daemon did as it should.
func (t *trial) ok() bool { return t.failed == nil && t.miss() == "" }

// many stands for the verdicts that a summary does not tell apart.
const many = "damaged"

// right tells whether the verdict is one of those that the kind asks for.
func (t *trial) right() bool {
	if t.verdict == many {
		return !slices.Contains(t.kind.want, "unavailable")
	}
	return slices.Contains(t.kind.want, t.verdict)
}

// miss says what was not as it should be.
func (t *trial) miss() string {
	switch {
	case t.skipped != nil:
		return ""
	case t.failed != nil:
		return t.failed.Error()
	case !t.found:
		return fmt.Sprintf("judged %s (%s), not %s", t.verdict, t.reason, strings.Join(t.kind.want, " or "))
	case !t.right():
		return fmt.Sprintf("found, but judged %s (%s), not %s", t.verdict, t.reason, strings.Join(t.kind.want, " or "))
	case !t.whole && t.kind.left:
		return fmt.Sprintf("judged %s (%s), but its last good state did not come back: %s", t.verdict, t.reason, t.unkept)
	case !t.whole:
		return fmt.Sprintf("judged %s (%s), but not restored", t.verdict, t.reason)
	}
	return ""
}

// cell is what the table shows of it.
func (t *trial) cell() string {
	switch {
	case t.skipped != nil:
		return "not tried"
	case t.failed != nil:
		return "FAILED"
	case !t.found:
		return "MISSED (" + t.verdict + ")"
	case !t.right():
		return "WRONG (" + t.verdict + ")"
	case !t.whole && t.kind.left:
		return "NOT KEPT"
	case !t.whole:
		return "NOT RESTORED"
	case t.after == 0:
		return t.verdict
	}
	return t.verdict + " " + seconds(t.after)
}

// pick takes a file for the trial and remembers it.
func (t *trial) pick() {
	path, err := t.v.stock.take(t.class, t.kind.format)
	if err == nil {
		if t.kind.format == "box" {
			path = parent(path)
		}
		t.v.path = path
		err = t.v.keep(path)
	}
	t.refuse(err)
}

func parent(path string) string { return path[:strings.LastIndexByte(path, '/')] }

// refuse sorts the error of setting a trial up or of doing the harm.
func (t *trial) refuse(err error) {
	if errors.Is(err, errSkip) {
		t.skipped = err
	} else if err != nil {
		t.failed = fmt.Errorf("the trial failed: %w", err)
	}
}

// open tells whether the trial is under way.
func (t *trial) open() bool { return t.skipped == nil && t.failed == nil }

// harm does the harm.
func (t *trial) harm(ctx context.Context) {
	if !t.open() {
		return
	}
	switch {
	case t.kind.root && os.Geteuid() != 0:
		t.refuse(fmt.Errorf("%w: only root can do it", errSkip))
	case t.kind.deep && t.v.rig.image == nil:
		t.refuse(fmt.Errorf("%w: needs a file system in an image", errSkip))
	default:
		t.at = time.Now()
		t.refuse(t.kind.inject(ctx, t.v))
	}
}

// hear takes note of an event.
func (t *trial) hear(e event) {
	if !t.open() || e.Event != "verdict" || e.Side != "device" || e.Time.Before(t.at) {
		return
	}
	after := e.Time.Sub(t.at)
	switch {
	case e.Path == t.v.path, e.Path != "" && strings.HasPrefix(t.v.path, e.Path+"/"):
		t.judge(e.Verdict, e.Reason, after)
	case e.Path == "" && !t.found && (e.Class == "" || e.Class == string(t.class)):
		t.found, t.vague, t.since, t.verdict, t.reason, t.after = true, true, time.Now(), e.sum(), "one of many", after
	}
}

// sum is the verdict that a summary amounts to.
func (e event) sum() string {
	switch {
	case e.Corrupted == 0 && e.Erased > 0:
		return "erased"
	case e.Erased == 0 && e.Corrupted > 0:
		return "corrupted"
	}
	return many
}

// judge takes note of a verdict; the first one that is right stays, and the first
// time.
func (t *trial) judge(verdict, reason string, after time.Duration) {
	if t.after == 0 {
		t.after = after
	}
	if t.found && !t.vague && t.right() {
		return
	}
	if !t.found {
		t.since = time.Now()
	}
	t.found, t.vague, t.verdict, t.reason = true, false, verdict, reason
}

// done tells whether there is nothing to wait for.
func (t *trial) done() bool { return !t.open() || t.found && (t.whole || t.kind.left) }
