//go:build !cgo

package pcsc

import (
	"context"
	"fmt"

	"github.com/reprovision/reprovision/pkg/card"
)

// Reader stands where the program was built without cgo, and so without the
// PC/SC library: there is never a card in it. It implements card.Reader.
type Reader struct{ config Config }

// New makes a reader that tells why it has no card.
func New(config Config) *Reader { return &Reader{config: config.withDefaults()} }

func errNotBuilt() error {
	return fmt.Errorf("%w: this program was built without it", card.ErrNoService)
}

// Run implements card.Reader: it says once that there is no service.
func (r *Reader) Run(ctx context.Context) error {
	r.config.Notify(card.Event{Kind: card.EventUnavailable, Err: errNotBuilt()})
	<-ctx.Done()
	return nil
}

// WithCard implements card.Reader: it returns ErrNoService.
func (*Reader) WithCard(context.Context, func(context.Context, card.Medium) error) error {
	return errNotBuilt()
}
