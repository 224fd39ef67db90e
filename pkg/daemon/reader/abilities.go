package reader

import (
	"context"
	"errors"

	"github.com/reprovision/reprovision/pkg/card"
)

// abilities is what a card can do beside keeping data.
type abilities struct {
	hasPIN bool
	pin    card.PINStatus
	key    bool // it can sign
}

// abilitiesOf asks a card. What it cannot do is no error, and neither is a key
// that is of no use to us.
func abilitiesOf(ctx context.Context, m card.Medium) (a abilities, err error) {
	if p, ok := m.(card.PIN); ok {
		a.pin, err = p.PINStatus(ctx)
		if a.hasPIN = err == nil; err != nil && !errors.Is(err, card.ErrUnsupported) {
			return a, err
		}
	}
	k, ok := m.(card.Key)
	if !ok {
		return a, nil
	}
	_, err = k.PublicKey(ctx)
	if a.key = err == nil; errors.Is(err, card.ErrNoKey) {
		err = nil
	}
	return a, err
}

// notePIN keeps what a transaction learned of the PIN.
func (m *mirror) notePIN(pulls uint64, st card.PINStatus) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if pulls == m.pulls {
		m.seen.facts.hasPIN, m.seen.facts.pin = true, st
	}
}
