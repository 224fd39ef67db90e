package reader

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/reprovision/reprovision/pkg/card"
)

// Bounds of one visit to the card. What is sent to the card and has no answer is given up by
// the card reader, much earlier.
const (
	waitTime = 2 * time.Minute // for others who use it
	cardTime = 2 * time.Minute // for the use of a card of no size
	slowest  = 1 << 10         // bytes a second, with which the time rises by the size: real cards write 4 to 10 kB
	unknown  = 256 << 10       // bytes of a card that does not tell its size before it is prepared
)

// timeFor is how long a visit to a card may take: as long as it takes to write all of it.
func timeFor(l card.Layout) time.Duration {
	size := card.Slots * l.SlotSize
	if !l.Formatted {
		size = max(l.Free, unknown)
	}
	return cardTime + time.Duration(size)*time.Second/slowest
}

var errWaited = errors.New("waited for the card for too long")

// visit has the card in use for itself.
func (m *mirror) visit(ctx context.Context, do func(context.Context, card.Medium) error) error {
	return m.visitIn(ctx, m.inUse(), do)
}

// visitIn has the card in one reader for itself; without a name, the card in use.
func (m *mirror) visitIn(ctx context.Context, reader string, do func(context.Context, card.Medium) error) error {
	if m.reader == nil {
		return card.ErrNoReader
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limit := time.AfterFunc(waitTime, func() { cancel(errWaited) })
	defer limit.Stop()
	select {
	case m.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", card.ErrBusy, context.Cause(ctx))
	}
	defer func() { <-m.turn }()
	begun := m.waiting(reader)
	defer begun()
	err := m.lend(ctx, reader, func(ctx context.Context, medium card.Medium) error {
		limit.Stop()
		begun()
		layout, err := medium.Layout(ctx)
		if err != nil {
			layout = card.Layout{} // who uses it sees that, too
		}
		ctx, cancel := context.WithTimeout(ctx, timeFor(layout))
		defer cancel()
		return do(ctx, medium)
	})
	if errors.Is(context.Cause(ctx), errWaited) {
		err = fmt.Errorf("%w: %w", card.ErrBusy, errWaited)
	}
	return err
}
