package reader

import (
	"context"
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/authorization"
	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// Attest has the card answer a device's challenge (paragraph 29). The record was
// read when the card was last looked at; that it is still that card is asked now,
// and where it has a key it signs.
func (d *Daemon) Attest(ctx context.Context, p session.Peer, id session.ID, challenge []byte) (session.Attestation, error) {
	if _, err := d.mine(p, id); err != nil {
		return session.Attestation{}, err
	}
	facts, ok := d.mirror.cardOf(id)
	if !ok {
		return session.Attestation{}, fmt.Errorf("%w: the card of this device is not in the reader", session.ErrCard)
	}
	a := session.Attestation{Identity: facts.identity, Key: []byte(facts.key), Record: []byte(facts.authorization)}
	err := d.mirror.visitIn(ctx, facts.place, func(ctx context.Context, m card.Medium) (err error) {
		if m.Identity() != facts.identity {
			return errExchanged
		}
		if facts.key != "" {
			a.Signature, err = sign(ctx, m, authorization.Message(challenge, id, a.Identity, a.Record))
		}
		return err
	})
	if err != nil {
		return session.Attestation{}, fmt.Errorf("%w: %w", session.ErrCard, err)
	}
	return a, nil
}

var errExchanged = errors.New("another card is in the reader now")

func sign(ctx context.Context, m card.Medium, message []byte) ([]byte, error) {
	k, ok := m.(card.Key)
	if !ok {
		return nil, card.ErrNoKey
	}
	return k.Sign(ctx, message)
}

// Authorize keeps the record that a device made for its card, and writes it to
// the card. One that another device made is refused.
func (d *Daemon) Authorize(ctx context.Context, p session.Peer, id session.ID, record []byte) (session.CardState, error) {
	if err := d.keep(p, id, record); err != nil {
		return session.CardState{}, err
	}
	d.event("card", map[string]any{"state": "authorized", "device": p.ID})
	return d.mirror.update(ctx, id), nil
}

func (d *Daemon) keep(p session.Peer, id session.ID, record []byte) error {
	d.records.Lock()
	defer d.records.Unlock()
	r, err := d.mine(p, id)
	if err != nil {
		return err
	}
	parsed, err := authorization.ParseRecord(record)
	if err != nil || !parsed.SignedBy(p.Key) || parsed.Vault != id {
		return fmt.Errorf("%w: no authorization record of this device", session.ErrBadRequest)
	}
	r.Authorization = record
	return remote(d.store.Update(r))
}

// cardOf is what is known of the card in the reader, if it is a vault's, known here or
// not, or blank.
func (m *mirror) cardOf(id vault.VaultID) (cardFacts, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sightOf(id)
	good := s.state.Status == session.CardOK || s.state.Status == session.CardStale || s.state.Status == session.CardFull
	ours := good && (s.on == id || s.facts.blank) || s.offers(id)
	s.facts.place = s.place
	return s.facts, ours && s.facts.identity != ""
}
