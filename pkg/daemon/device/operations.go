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
)

// operations lets one operation run at a time: a check during a restore would
// see half of it, and a backup would save that.
type operations struct {
	slot    chan struct{}
	changed func() // called whenever the activity changes

	mu       sync.Mutex
	activity string
}

func newOperations(changed func()) *operations {
	return &operations{slot: make(chan struct{}, 1), changed: changed, activity: activityIdle}
}

// begin waits for its turn. The caller calls the returned function at the end.
func (o *operations) begin(ctx context.Context, activity string) (end func(), err error) {
	select {
	case o.slot <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	o.set(activity)
	return func() {
		o.set(activityIdle)
		<-o.slot
	}, nil
}

func (o *operations) set(activity string) {
	o.mu.Lock()
	o.activity = activity
	o.mu.Unlock()
	o.changed()
}

func (o *operations) current() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.activity
}
