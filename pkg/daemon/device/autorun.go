package device

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/reprovision/reprovision/pkg/backup"
	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/session"
)

// autobackup backs up by itself (FIG. 5). It walks through the figure when a backup
// may be due, when a session has begun, and when the owner has said something; in
// between nothing wakes it.
func (d *Daemon) autobackup(ctx context.Context) error {
	told := false // that it is overdue
	for {
		again := d.walk(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		told = d.sayOverdue(told)
		d.sayPlan(ctx)
		if err := d.auto.noteNow(); err != nil {
			d.log.Error("cannot note the time since the last backup", "error", err)
		}
		if again {
			continue
		}
		if err := d.auto.alarm.Set(d.auto.next(told)); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.auto.alarm.Rings():
		case <-d.auto.wake:
		}
	}
}

// next is how long until the loop has something to do by itself; less than 0 for
// never. told says whether the owner knows that a backup is overdue.
func (a *auto) next(told bool) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, s := a.clock.Read(), a.schedule()
	wait := s.Wait(now)
	if wait != 0 {
		return wait
	}
	wait = -1 // due: a session wakes it, or the owner
	if !told {
		wait = s.UntilOverdue(now)
	}
	if retry := a.rest - now.Up; retry > 0 && (wait < 0 || retry < wait) {
		wait = retry
	}
	return wait
}

// walk goes once through FIG. 5, from step 510 and back there. It returns true when
// the owner has just said what makes another walk worth while.
func (d *Daemon) walk(ctx context.Context) (again bool) {
	run := &autoRun{backupRun: backupRun{Daemon: d}, end: func() {}}
	final, err := backup.Drive(ctx, backup.Tick, run.step)
	run.end()
	if ctx.Err() == nil {
		d.conclude(run, final, err)
	}
	return final == backup.Chosen
}

// autoRun is a walk that nobody asked for.
type autoRun struct {
	backupRun
	unpaired bool
	end      func() // gives the turn back
}

func (r *autoRun) step(ctx context.Context, s backup.State) (backup.Event, error) {
	switch s {
	case backup.Configured: // 512
		return r.configured(), nil
	case backup.Configuring: // 514
		return r.configure(), nil
	case backup.Elapsing: // 516
		return r.elapsed(ctx)
	case backup.InRange: // 518
		return r.near()
	case backup.Comparing: // 520
		return r.differs(ctx)
	case backup.Pairing: // 522
		return r.paired()
	}
	return r.send(ctx) // 524
}

func (r *autoRun) configured() backup.Event {
	w, by := r.auto.said()
	switch {
	case by == "":
		return backup.Unknown
	case w.Off:
		return backup.Off
	}
	r.full = w.Full
	return backup.Known
}

// elapsed waits its turn when a backup is due: the owner may have asked for one
// meanwhile, and then it is due no longer.
func (r *autoRun) elapsed(ctx context.Context) (backup.Event, error) {
	s := r.keeper.current()
	if !r.auto.due(s) {
		return backup.NotYet, nil
	}
	if s == nil {
		return backup.TimeUp, nil
	}
	end, err := r.ops.only(ctx, activityBackup, r.backups)
	if err != nil {
		return 0, err
	}
	r.end = end
	if !r.auto.due(s) {
		return backup.NotYet, nil
	}
	r.session = s
	return backup.TimeUp, nil
}

// due tells whether a backup is due and may be tried. Where a session has only just
// begun, its beginning comes first: the reader may have what the device has lost.
func (a *auto) due(s *session.Session) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.clock.Read()
	return a.schedule().Wait(now) == 0 && now.Up >= a.rest && (s == nil || a.met == s)
}

// near looks for the reader without waiting for it. Whether one that there is no
// pairing with is near cannot be told: step 522 finds out.
func (r *autoRun) near() (backup.Event, error) {
	if _, err := r.keeper.reader(); errors.Is(err, busapi.ErrNotPaired) {
		r.unpaired = true
		return backup.Reachable, nil
	} else if err != nil {
		return 0, err
	}
	if r.session == nil {
		r.failure = busapi.ErrOutOfRange
		return backup.Unreachable, nil
	}
	return backup.Reachable, nil
}

// differs compares with what the reader has. What a reader holds that there is no
// pairing with cannot be told, and counts as different.
func (r *autoRun) differs(ctx context.Context) (backup.Event, error) {
	switch {
	case r.unpaired:
		return backup.Different, nil
	case r.book.current() == nil && r.findings.offered():
		return backup.Foreign, nil
	}
	return r.compare(ctx)
}

func (r *autoRun) paired() (backup.Event, error) {
	if !r.unpaired {
		return backup.Paired, nil
	}
	r.failure = busapi.ErrNotPaired
	return backup.NotPaired, nil // what would help is told with the outcome of the walk
}

// The results of an attempt, as the status names them.
const (
	resultSaved     = "saved"
	resultUnchanged = "unchanged"
	resultAway      = "away"
	resultUnpaired  = "unpaired"
	resultUndecided = "undecided"
	resultFailed    = "failed"
)

// conclude takes down what came of a walk.
func (d *Daemon) conclude(run *autoRun, final backup.State, err error) {
	if errors.Is(translate(err), busapi.ErrOutOfRange) {
		final, run.failure, err = backup.Broken, err, nil
	}
	switch {
	case err != nil:
		d.log.Warn("the automatic backup failed", "error", err)
		d.fell(resultFailed, summary(err), "")
	case final.Resets():
		run.done(true)
		d.log.Info("backed up by itself", "snapshot", run.result.Snapshot, "changed", run.result.Changed)
	case final == backup.Broken:
		d.log.Info("the automatic backup was interrupted", "error", run.failure)
		d.fell(resultFailed, "the reader went out of range; the next backup goes on with it", "")
	case final == backup.Away:
		d.fell(resultAway, summary(run.failure), promptReader)
	case final == backup.Unpaired:
		d.fell(resultUnpaired, summary(run.failure), promptPair)
	case final == backup.Undecided:
		d.fell(resultUndecided, "the reader has the data of an earlier device, and this one has none there yet", promptDecide)
	}
}

// fell takes down that a due backup was not made, and asks the owner for what
// would help. An outcome that is the same as before is told once.
func (d *Daemon) fell(result, reason, prompt string) {
	news, err := d.auto.fell(result, reason, prompt)
	if err != nil {
		d.log.Error("cannot note what came of the automatic backup", "error", err)
	}
	if !news {
		return
	}
	fields := map[string]any{"state": "due", "auto": true, "result": result, "reason": reason}
	if prompt != "" {
		fields["prompt"] = prompt
	}
	d.event("backup", fields)
	d.log.Info("a backup is due", "result", result, "reason", reason)
	d.bus.Refresh()
}

func (a *auto) fell(result, reason, prompt string) (news bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.clock.Read()
	news = result == resultFailed || a.last.Result != result || a.last.Reason != reason || a.prompt != prompt
	a.last = lastRun{At: now.Wall.Unix(), Result: result, Reason: reason}
	a.want(prompt)
	if result == resultFailed {
		a.failures++
		a.rest = now.Up + a.schedule().Retry(a.failures)
	}
	if !news {
		return false, nil
	}
	a.span = a.span.At(now)
	return true, a.keep()
}

// summary is an error for the status, which everybody may read: it holds no names
// of files, as the error itself may.
func summary(err error) string {
	for _, known := range []error{
		busapi.ErrNotPaired, busapi.ErrNoLink, busapi.ErrOutOfRange, busapi.ErrCard, busapi.ErrNotAllowed, busapi.ErrBusy,
		busapi.ErrPairingClosed, busapi.ErrWrongPasscode, busapi.ErrLockedOut, busapi.ErrInvalidArguments,
	} {
		if errors.Is(translate(err), known) {
			return known.Error()
		}
	}
	return "the log of the daemon says why"
}

func joined(all []string) string { return strings.Join(all, "; ") }

// sayOverdue tells once that a backup is overdue.
func (d *Daemon) sayOverdue(told bool) bool {
	i := d.auto.info()
	if i.OverdueSince == 0 || told {
		return i.OverdueSince != 0
	}
	since := time.Unix(i.OverdueSince, 0)
	d.log.Warn("the backup of this device is OVERDUE", "since", since, "last_result", i.LastResult, "reason", i.LastReason)
	d.notice("overdue", fmt.Sprintf("The backup of this device is overdue since %s.", since.Format("2006-01-02 15:04")))
	d.event("backup", map[string]any{
		"state": "overdue", "auto": true, "since": i.OverdueSince, "every": i.Every, "result": i.LastResult, "reason": i.LastReason,
	})
	d.bus.Refresh()
	return true
}

// sayPlan lets the reader know when the next backup is due, so that it too can say
// that it is overdue.
func (d *Daemon) sayPlan(ctx context.Context) {
	d.auto.mu.Lock()
	stale := d.auto.stale
	d.auto.stale = false
	d.auto.mu.Unlock()
	if !stale {
		return
	}
	if err := d.keeper.tell(ctx); err != nil && ctx.Err() == nil {
		d.log.Info("cannot tell the reader when the next backup is due", "error", err) // the next session does
	}
}
