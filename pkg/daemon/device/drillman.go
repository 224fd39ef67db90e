package device

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/reprovision/reprovision/pkg/busapi"
)

// drillPause is the wait after a drill that could not be made though the reader was
// there.
const drillPause = 10 * time.Minute

// drillLater is the wait where there is a restore, and after what made a drill possible: the first
// backup, or a reader that comes. What a drill takes of the link it would take from what the
// owner asks for then.
const drillLater = time.Minute

// drillman makes a restore drill from time to time: it proves that what lies at the reader
// opens, and is what was saved. While the reader is away, or holds nothing, there is
// no time at which it wakes: a session or a backup does that.
type drillman struct {
	every time.Duration
	now   func() time.Time
	last  func() (at time.Time, known bool)
	ready func() bool // the reader is there, and has something
	busy  func() bool // a restore is under way: the link is its
	drill func(context.Context) error
	wake  <-chan struct{} // it may be ready now
	log   *slog.Logger
}

func (d *Daemon) driller(ctx context.Context) error {
	if d.cfg.Detect.VerifyEvery.Duration == 0 {
		return nil
	}
	m := drillman{
		every: d.cfg.Detect.VerifyEvery.Duration, now: d.now, wake: d.drills, log: d.log,
		last: func() (time.Time, bool) {
			last, known := d.lastDrill()
			return time.Unix(last.Time, 0), known
		},
		ready: func() bool { return d.keeper.current() != nil && d.book.current() != nil },
		busy:  d.ops.restoring,
		drill: func(ctx context.Context) error { _, err := d.Verify(ctx, 0); return err },
	}
	return m.run(ctx)
}

// maybeDrill has the drillman see whether it can make a drill that is due.
func (d *Daemon) maybeDrill() {
	select {
	case d.drills <- struct{}{}:
	default:
	}
}

func (m *drillman) run(ctx context.Context) error {
	for {
		wait := m.left()
		switch {
		case wait > 0:
		case !m.ready():
			wait = -1
		case m.busy():
			wait = drillLater
		default:
			m.forget()
			err := m.drill(ctx)
			if err == nil {
				continue // the time of this one counts from now on
			}
			if ctx.Err() == nil {
				m.log.Warn("cannot make a restore drill", "error", err)
			}
			if wait = min(drillPause, m.every); unreadable(err) || errors.Is(err, busapi.ErrNoData) {
				wait = -1 // the same reader has it again after a backup only
			}
		}
		if err := m.rest(ctx, wait); err != nil {
			return err
		}
	}
}

// forget drops a wake-up that the drill which begins now answers.
func (m *drillman) forget() {
	select {
	case <-m.wake:
	default:
	}
}

// rest waits for so long, or less than 0 for a wake-up, and drillLater after it. A wake-up is of no use
// before a drill is due, and then one is remembered that came earlier.
func (m *drillman) rest(ctx context.Context, wait time.Duration) error {
	if wait >= 0 {
		return sleep(ctx, wait)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-m.wake:
		return sleep(ctx, drillLater)
	}
}

// left counts from the last drill, so that restarts neither skip nor repeat one.
func (m *drillman) left() time.Duration {
	last, known := m.last()
	if !known {
		return 0 // the first one follows the first backup
	}
	return min(max(last.Add(m.every).Sub(m.now()), 0), m.every)
}

// lastDrill is the last drill.
func (d *Daemon) lastDrill() (last busapi.VerifyResult, known bool) {
	known, err := d.state.load(keyVerified, &last)
	if err != nil {
		d.log.Warn("cannot read when the last restore drill was", "error", err)
		return busapi.VerifyResult{}, false
	}
	return last, known
}
