package device

import (
	"context"
	"sync"
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

// operations lets one operation that judges or restores run at a time: a check
// during a restore would see half of it. Backups and pairings take long and wait
// for people and links, so they run beside: nothing keeps the device from
// noticing damage and mending it.
type operations struct {
	slot    chan struct{}
	changed func() // called whenever the activity changes

	mu     sync.Mutex
	front  string // in the slot; empty for none
	beside map[string]int
}

func newOperations(changed func()) *operations {
	return &operations{slot: make(chan struct{}, 1), changed: changed, beside: make(map[string]int)}
}

// begin waits for its turn. The caller calls the returned function at the end.
func (o *operations) begin(ctx context.Context, activity string) (end func(), err error) {
	select {
	case o.slot <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	o.set(func() { o.front = activity })
	return func() {
		o.set(func() { o.front = "" })
		<-o.slot
	}, nil
}

// only begins an operation of a kind of which there is one at a time, beside
// the slot; it waits while there is one.
func (o *operations) only(ctx context.Context, activity string, token chan struct{}) (end func(), err error) {
	select {
	case token <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	o.set(func() { o.beside[activity]++ })
	return func() {
		o.set(func() { o.beside[activity]-- })
		<-token
	}, nil
}

func (o *operations) set(change func()) {
	o.mu.Lock()
	change()
	o.mu.Unlock()
	o.changed()
}

// current is what a status shows: what waits for the owner or the link first,
// for it lasts.
func (o *operations) current() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, activity := range []string{activityPairing, activityPasscode, activityBackup} {
		if o.beside[activity] > 0 {
			return activity
		}
	}
	if o.front != "" {
		return o.front
	}
	return activityIdle
}
