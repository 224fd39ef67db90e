package reader

import (
	"context"
	"errors"

	"github.com/reprovision/reprovision/pkg/authorization"
	"github.com/reprovision/reprovision/pkg/card"
)

// abilities is what a card can do beside keeping data.
type abilities struct {
	hasPIN bool
	pin    card.PINStatus
	key    string // the public half of the key that it signs with, in DER; empty for none
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
	public, err := k.PublicKey(ctx)
	if errors.Is(err, card.ErrNoKey) {
		return a, nil
	}
	if err != nil {
		return a, err
	}
	der, err := authorization.EncodeKey(public)
	a.key = string(der)
	return a, err
}

// giveKey makes the key of a card that can have one. One that is there already is
// used as it is; a slot with anything else in it is left alone.
func (d *Daemon) giveKey(ctx context.Context, m card.Medium) error {
	k, ok := m.(card.Key)
	if !ok {
		return nil
	}
	if _, err := k.PublicKey(ctx); !errors.Is(err, card.ErrNoKey) {
		return err
	}
	_, err := k.GenerateKey(ctx)
	if errors.Is(err, card.ErrForeign) || errors.Is(err, card.ErrUnsupported) {
		d.log.Warn("the card has no key to sign with", "error", err)
		return nil
	}
	return err
}

// notePIN keeps what a transaction learned of the PIN.
func (m *mirror) notePIN(pulls uint64, reader string, st card.PINStatus) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if pulls != m.pulls {
		return
	}
	if s, ok := m.beside[reader]; ok {
		s.facts.hasPIN, s.facts.pin = true, st
		m.beside[reader] = s
	} else if reader == m.seen.place {
		m.seen.facts.hasPIN, m.seen.facts.pin = true, st
	}
}
