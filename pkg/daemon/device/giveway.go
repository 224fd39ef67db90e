package device

import (
	"context"
	"time"

	"github.com/reprovision/reprovision/pkg/reprovision"
)

// What a restore has for itself after it gave way, at the least; and at the most, should
// a clock say that it was kept for days.
const (
	shareLeast = time.Second
	shareMost  = 30 * time.Minute
)

// share sees to it that giving way, however often it is asked for, costs a restore
// at most half of its time: before it gives way again it goes on for as long as it was
// kept from it, by those it gave way to and by having to look anew after them. What comes
// first it gives way to at once. How long the reader was away counts for nothing.
type share struct {
	gave bool
	lost time.Duration // since it gave way, the last time
}

// begin notes that the restore gives way.
func (s *share) begin() { s.gave, s.lost = true, 0 }

// cost notes for how long the restore was kept from going on.
func (s *share) cost(d time.Duration) { s.lost += max(d, 0) }

// own is how long the restore that goes on does so whatever waits.
func (s *share) own() time.Duration {
	if !s.gave {
		return 0
	}
	return min(max(s.lost, shareLeast), shareMost)
}

// settle begins the part of a restore that takes long: from now on others come first.
func (r *restoreRun) settle() {
	r.ticket.become(r.lasting)
	r.settled()
}

// giveWay lets those run who wait, and has the figure start again after them. The plan is
// made anew, for they may have restored something; all else is kept: the job, the packs
// that were fetched, the quarantine.
func (r *restoreRun) giveWay(ctx context.Context) (reprovision.Event, error) {
	r.log.Info("reprovision gives way", "verified", len(r.verified), "planned", len(r.wanted))
	r.share.begin()
	begun := r.now()
	defer func() { r.share.cost(r.now().Sub(begun)) }()
	gone := r.ops.aside(activityReprovision)
	defer gone()
	r.ticket.end()
	return reprovision.Interrupted, r.again(ctx, r.lasting)
}

// again queues up for another turn.
func (r *restoreRun) again(ctx context.Context, as rank) error {
	r.ticket = r.ops.enter(activityReprovision, as)
	return r.ticket.wait(ctx)
}

// advance tells how far the restore is, over all of its attempts: a figure that never
// goes back.
func (r *restoreRun) advance(done, total int64) {
	total += r.beyond()
	r.whole = max(r.whole, total)
	r.shown = max(r.shown, r.whole-total+done)
	r.gauge.set(activityReprovision, r.shown, r.whole)
}
