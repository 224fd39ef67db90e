package reader

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// secretSize is the number of random bytes that the card keeps behind its PIN.
const secretSize = 32

// VerifyPIN has the card verify its PIN (step 620), whose own counter limits the
// guesses, and gives away what the card gives then. The owner's device has the secret
// made where the card has none; another one has the vault unlocked by it, if it opens
// the slot for that: a PIN is worth nothing without the card that it belongs to.
func (d *Daemon) VerifyPIN(ctx context.Context, p session.Peer, id session.ID, pin []byte) ([]byte, error) {
	r, err := d.known(id)
	if err != nil {
		return nil, remote(err)
	}
	own := slot(r, keyring.SlotCardPIN)
	has, owner := own != nil, r.Owner == p.ID
	if !owner && !has {
		return nil, fmt.Errorf("%w: this vault does not open with the card's PIN", session.ErrNotAllowed)
	}
	if err := d.succeeds(p, r); err != nil { // who guesses would block the PIN of an owner who is here
		return nil, err
	}
	secret, err := d.cardSecret(ctx, id, pin, owner)
	if err != nil {
		return nil, err
	}
	switch opens := has && opensSlot(secret, id, own.Data); {
	case opens:
		d.entries.unlock(p, session.Entry{Vault: id, Kind: keyring.SlotCardPIN}, own.Data)
	case !owner: // any card has a PIN, and any may name a vault
		clear(secret)
		return nil, fmt.Errorf("%w: what the card keeps behind its PIN does not open this vault", session.ErrNotAllowed)
	}
	return secret, nil
}

// opensSlot tells whether a card's secret is that of a slot.
func opensSlot(secret []byte, id vault.VaultID, data []byte) bool {
	key, err := keyring.NewSlotKey(keyring.SlotCardPIN, secret)
	return err == nil && key.Opens(id, data)
}

// cardSecret reads what the vault's card keeps behind its PIN.
func (d *Daemon) cardSecret(ctx context.Context, id vault.VaultID, pin []byte, create bool) ([]byte, error) {
	facts, ok := d.mirror.cardOf(id)
	if !ok || facts.blank && !create { // a blank one is nobody's
		return nil, fmt.Errorf("%w: the card of this data is not in the reader", session.ErrCard)
	}
	var secret []byte
	st, err := d.tryPIN(ctx, facts.place, func(ctx context.Context, m card.Medium, p card.PIN) (err error) {
		if m.Identity() != facts.identity {
			return errExchanged
		}
		s, ok := m.(card.Secret)
		if !ok {
			return fmt.Errorf("%w: it keeps nothing behind its PIN", card.ErrUnsupported)
		}
		if err := p.VerifyPIN(ctx, pin); err != nil {
			return err
		}
		if secret, err = s.Secret(ctx); create && errors.Is(err, card.ErrNoSecret) {
			secret, err = makeSecret(ctx, s)
		}
		return err
	})
	d.tellAttempt(err)
	if err != nil {
		return nil, unlockError(err, st)
	}
	return secret, nil
}

// makeSecret gives the card a secret, and reads it back: data that only a torn
// secret opens would be lost.
func makeSecret(ctx context.Context, s card.Secret) ([]byte, error) {
	made := make([]byte, secretSize)
	if _, err := rand.Read(made); err != nil {
		return nil, err
	}
	if err := s.SetSecret(ctx, made); err != nil {
		return nil, err
	}
	return s.Secret(ctx)
}

// unlockError gives an error of the card the name that it has on the wire. A PIN
// that the card cannot have cost no try.
func unlockError(err error, st card.PINStatus) error {
	var wrong *card.PINError
	switch {
	case errors.Is(err, card.ErrPINBlocked):
		return fmt.Errorf("%w: the card's PIN is blocked", session.ErrLockedOut)
	case errors.As(err, &wrong):
		return &session.WrongPasscode{Left: wrong.Tries}
	case errors.Is(err, card.ErrPIN), errors.Is(err, card.ErrPINFormat):
		return &session.WrongPasscode{Left: st.Tries}
	}
	return fmt.Errorf("%w: %w", session.ErrCard, err)
}
