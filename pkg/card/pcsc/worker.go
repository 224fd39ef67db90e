//go:build cgo

package pcsc

import (
	"context"
	"errors"
	"fmt"

	"github.com/ebfe/scard"

	"github.com/reprovision/reprovision/pkg/card"
)

// errAbandoned is returned for calls on a worker that was left behind.
var errAbandoned = errors.New("PC/SC call still pending")

// errStuck means that the service hangs: it took a call and does not return from it.
var errStuck = fmt.Errorf("%w: it does not answer", card.ErrNoService)

// worker is one PC/SC context and the goroutine that makes all its calls. Its
// methods are for one caller at a time.
type worker struct {
	context   *scard.Context // belongs to the goroutine
	calls     chan func()
	done      chan struct{} // closed when the goroutine has ended
	abandoned bool          // a call did not return in time
}

func startWorker() *worker {
	// Room for one call that nobody waits for any more, and for the end.
	w := &worker{calls: make(chan func(), 2), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for call := range w.calls {
			call()
		}
		if w.context != nil {
			_ = w.context.Release() // an error means that it is gone already
		}
	}()
	return w
}

// establish makes the context; it runs on the goroutine.
func (w *worker) establish() (err error) {
	w.context, err = scard.EstablishContext()
	return err
}

// do runs call on the goroutine and returns its error, or that of ctx if it ends
// first; then the worker takes no further calls but end.
func (w *worker) do(ctx context.Context, call func() error) error {
	if w.abandoned {
		return errAbandoned
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	result := make(chan error, 1)
	w.calls <- func() { result <- call() }
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		w.abandoned = true
		return ctx.Err()
	}
}

// end lets the goroutine run last, release the context and end, as soon as it
// gets to it. It does not wait.
func (w *worker) end(last func()) {
	w.calls <- last
	close(w.calls)
}
