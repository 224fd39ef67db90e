//go:build cgo

package pcsc

import (
	"context"
	"sync/atomic"
	"testing"
)

// LookTime is how long one look of the watcher lasts while nothing happens.
const LookTime = watchTimeout

// CountLooks runs the watcher of a reader for the length of the test, counts its looks, and
// tells whether a card is in whenever the watcher does.
func CountLooks(t *testing.T, r *Reader, looks *atomic.Int64) <-chan bool {
	pick := func(states []readerState) (readerState, error) {
		looks.Add(1)
		return r.pick(states)
	}
	sights, told, done := make(chan sight), make(chan bool, 100), make(chan struct{})
	w := &watcher{pick: pick, counts: r.counts, limit: r.config.ServiceTimeout, out: sights}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(done)
		w.run(ctx)
	}()
	go func() {
		for {
			select {
			case s := <-sights:
				told <- s.present
			case <-done:
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return told
}
