//go:build cgo

package pcsc

import (
	"context"
	"fmt"

	"github.com/reprovision/reprovision/pkg/card"
)

// Cards implements card.Several. It returns ErrNoService where there is none, or where
// it hangs.
func (r *Reader) Cards(ctx context.Context) ([]string, error) {
	states, err := r.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot list cards: %w", err)
	}
	var names []string
	for _, s := range states {
		if s.present() {
			names = append(names, s.name)
		}
	}
	return r.order(names), nil
}

// list asks for the readers, one call at a time: one that is stuck keeps the others
// from being stuck, too.
func (r *Reader) list(ctx context.Context) (states []readerState, err error) {
	bounded, cancel := context.WithTimeout(ctx, r.config.ServiceTimeout)
	defer cancel()
	select {
	case r.lister <- struct{}{}:
	case <-bounded.Done():
		return nil, late(ctx)
	}
	var found []readerState
	w := startWorker()
	err = w.do(bounded, func() (err error) {
		if err = w.establish(); err == nil {
			found, err = listStates(w.context, nil, 0, fmt.Sprintf("%p", w))
		}
		return err
	})
	w.end(func() { <-r.lister })
	if w.abandoned {
		return nil, late(ctx)
	}
	if err != nil {
		return nil, cardError(err)
	}
	return found, nil
}

// late says why a call on the service was not waited for: ctx, or the service hangs.
func late(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return waited(ctx, card.ErrNoService)
	}
	return errStuck
}
