package reader

import (
	"context"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/session"
)

// overwriteStep is how many bytes are overwritten in one turn at the card: others who want it
// wait no longer than that takes, one to four seconds.
const overwriteStep = 8 << 10

// overwriting is what is said of a card on which something void may be left.
const overwriting = "what is void on it is being overwritten"

// overwrite puts random bytes in the place of what is void on the card, as the last look at it
// found, and notes what that comes to. Where it is cut short the card says so itself to
// whoever looks at it next.
func (m *mirror) overwrite(ctx context.Context) {
	select {
	case m.clean <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-m.clean }()
	m.mu.Lock()
	pulls, seen := m.pulls, m.seen
	m.mu.Unlock()
	if !seen.traces && !seen.erased {
		return
	}
	o, err := m.overwriteAll(ctx, seen)
	switch {
	case err == nil && o.Finished:
		m.clear(pulls, seen, o.Generation)
	case err != nil && m.ours(seen):
		m.found(pulls, seen, err)
	case err != nil: // it need not be ours to write
		m.log.Warn("cannot overwrite what is void on the card", "error", err)
	}
}

// ours tells whether what is on a card is this reader's to keep.
func (m *mirror) ours(seen sight) bool {
	return seen.erased || !seen.on.IsZero() && seen.state.Status != session.CardOtherVault
}

// overwriteAll goes on turn by turn. It is not finished if the card was exchanged meanwhile.
func (m *mirror) overwriteAll(ctx context.Context, seen sight) (o card.Overwriting, err error) {
	exchanged := false
	for err == nil && !o.Finished && !exchanged {
		err = m.visitIn(ctx, seen.place, func(ctx context.Context, medium card.Medium) (err error) {
			if exchanged = medium.Identity() != seen.facts.identity; exchanged {
				return nil
			}
			if o, err = card.NewStore(medium).Overwrite(ctx, o, overwriteStep); err != nil || !o.Finished {
				return err
			}
			return m.endErasing(ctx, medium)
		})
	}
	return o, err
}

// endErasing prepares a card anew on which nothing is left of what was deleted.
func (m *mirror) endErasing(ctx context.Context, medium card.Medium) error {
	object, err := card.NewStore(medium).Load(ctx)
	if err != nil {
		return err
	}
	if what, id := emptyFor(object.Data); what == erased {
		m.log.Warn("erased a card whose data were deleted", "vault", id)
		return medium.Format(ctx, 0)
	}
	return nil
}

// clear takes note that nothing void is on the card.
func (m *mirror) clear(pulls uint64, was sight, generation uint64) {
	m.mu.Lock()
	seen := m.seen
	m.mu.Unlock()
	if seen.facts.identity != was.facts.identity {
		return
	}
	mark, known := m.known.card(seen.facts.identity)
	if mark.Traces = false; known {
		mark.Generation = max(mark.Generation, generation)
		if err := m.known.setCard(seen.facts.identity, mark, m.now()); err != nil {
			m.log.Error("cannot note that a card was overwritten", "error", err)
		}
	}
	if seen.traces = false; seen.state.Detail == overwriting {
		seen.state.Detail = ""
	}
	if seen.erased = false; seen.state.Status != session.CardUnformatted {
		seen.state.Generation = generation
	}
	m.set(pulls, seen)
	m.log.Info("overwrote what was void on the card", "card", seen.facts.identity)
}
