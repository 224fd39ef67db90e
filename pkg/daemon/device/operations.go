package device

import (
	"context"
	"slices"
	"sync"
	"time"
)

// The activities that a status names.
const (
	activityIdle        = "idle"
	activityPairing     = "pairing"
	activityBackup      = "backup"
	activityCheck       = "check"
	activityReprovision = "reprovision"
	activityPasscode    = "passcode" // key slots are changed
)

// rank says who comes first of those that wait for the slot; among equals it is
// who came first.
type rank int

const (
	rankUrgent rank = iota // service books or keys may be damaged, or the owner waits
	rankOwner              // what takes long of a restore that the owner asked for
	rankMend               // what takes long of one that nobody asked for
	rankIdle               // nothing hurries
)

// operations lets one operation that judges or restores run at a time: a check
// during a restore would see half of it. What takes long can tell that somebody
// of a better rank waits, and gives way. Backups and pairings take long and wait
// for people and links, so they run beside: nothing keeps the device from
// noticing damage and mending it.
type operations struct {
	changed func() // called whenever the activity changes

	mu      sync.Mutex
	front   *ticket       // has the slot; nil for nobody
	waiting []*ticket     // in the order in which they came
	more    chan struct{} // closed and replaced when somebody comes, or somebody's rank changes
	beside  map[string]int
}

func newOperations(changed func()) *operations {
	return &operations{changed: changed, more: make(chan struct{}), beside: make(map[string]int)}
}

// ticket is one operation's place in the queue, and then its turn. Its methods
// are safe for concurrent use.
type ticket struct {
	ops      *operations
	turn     chan struct{} // closes when the slot is its
	activity string
	rank     rank
}

// enter queues up. The caller waits for turn, and calls end whether or not it came.
func (o *operations) enter(activity string, r rank) *ticket {
	t := &ticket{ops: o, turn: make(chan struct{}), activity: activity, rank: r}
	o.set(func() {
		o.waiting = append(o.waiting, t)
		o.next()
		o.tell()
	})
	return t
}

// begin waits for its turn. The caller calls the ticket's end.
func (o *operations) begin(ctx context.Context, activity string, r rank) (*ticket, error) {
	t := o.enter(activity, r)
	if err := t.wait(ctx); err != nil {
		t.end()
		return nil, err
	}
	return t, nil
}

// wait waits for the ticket's turn.
func (t *ticket) wait(ctx context.Context) error {
	select {
	case <-t.turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// next gives a free slot to who is first; mu is held.
func (o *operations) next() {
	if o.front != nil || len(o.waiting) == 0 {
		return
	}
	first := o.waiting[0]
	for _, t := range o.waiting {
		if t.rank < first.rank {
			first = t
		}
	}
	o.waiting = slices.DeleteFunc(o.waiting, func(t *ticket) bool { return t == first })
	o.front = first
	close(first.turn)
}

// tell wakes those who look out for somebody of a better rank; mu is held.
func (o *operations) tell() {
	close(o.more)
	o.more = make(chan struct{})
}

// become changes the rank, in the queue or in the slot.
func (t *ticket) become(r rank) {
	t.ops.set(func() {
		t.rank = r
		t.ops.tell()
	})
}

// does changes what a status says of the ticket's operation.
func (t *ticket) does(activity string) { t.ops.set(func() { t.activity = activity }) }

// end gives the slot back, or leaves the queue. Ending twice is no harm.
func (t *ticket) end() {
	o := t.ops
	o.set(func() {
		if o.front == t {
			o.front = nil
		}
		o.waiting = slices.DeleteFunc(o.waiting, func(w *ticket) bool { return w == t })
		o.next()
	})
}

// bidden returns a channel that closes when somebody of a better rank waits, but
// not within the time that is the ticket's own, and stop, which ends the looking out.
func (t *ticket) bidden(ctx context.Context, own time.Duration) (bid <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	bidding, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		if sleep(ctx, own) == nil && t.lookOut(ctx) == nil {
			close(bidding)
		}
	}()
	return bidding, func() {
		cancel()
		<-done
	}
}

// lookOut waits until somebody of a better rank waits.
func (t *ticket) lookOut(ctx context.Context) error {
	for {
		t.ops.mu.Lock()
		more := t.ops.more
		outranked := slices.ContainsFunc(t.ops.waiting, func(w *ticket) bool { return w.rank < t.rank })
		t.ops.mu.Unlock()
		if outranked {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// only begins an operation of a kind of which there is one at a time, beside
// the slot; it waits while there is one.
func (o *operations) only(ctx context.Context, activity string, token chan struct{}) (end func(), err error) {
	select {
	case token <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	gone := o.aside(activity)
	return func() {
		gone()
		<-token
	}, nil
}

// aside notes an operation that goes on without the slot, until gone is called.
func (o *operations) aside(activity string) (gone func()) {
	o.set(func() { o.beside[activity]++ })
	return func() { o.set(func() { o.beside[activity]-- }) }
}

func (o *operations) set(change func()) {
	o.mu.Lock()
	change()
	o.mu.Unlock()
	o.changed()
}

// current is what a status shows: what waits for the owner or the link first,
// for it lasts, then a restore that has given way.
func (o *operations) current() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, activity := range []string{activityPairing, activityPasscode, activityBackup, activityReprovision} {
		if o.beside[activity] > 0 {
			return activity
		}
	}
	if o.front != nil {
		return o.front.activity
	}
	return activityIdle
}

// restoring tells whether a restore is under way, whatever else is.
func (o *operations) restoring() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.beside[activityReprovision] > 0 || o.front != nil && o.front.activity == activityReprovision
}
