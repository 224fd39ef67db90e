package device

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
)

// setCardPIN makes the card's PIN what a replacement device needs: the vault's keys
// are sealed to what the card gives away after its PIN. A passcode, or the slot that
// opens without, goes, and the key is rotated: the reader or the passcode had the old.
func (d *Daemon) setCardPIN(ctx context.Context, req busapi.PasscodeRequest, p busapi.Prompter) (busapi.PasscodeResult, error) {
	if req.Change {
		return busapi.PasscodeResult{}, fmt.Errorf("%w: the card's PIN is changed at the card", busapi.ErrInvalidArguments)
	}
	var id [16]byte
	var owners keyring.Card
	if _, err := d.inVault(ctx, func(s *session.Session, held keyring.VaultKey) (_ busapi.PasscodeResult, err error) {
		id = held.Vault
		if err = d.mayTellPIN(ctx, s); err == nil {
			owners, err = d.keys.Card()
		}
		return busapi.PasscodeResult{}, err
	}); err != nil {
		return busapi.PasscodeResult{}, err
	}
	secret, err := d.cardSecret(ctx, id, owners, p)
	if err != nil {
		return busapi.PasscodeResult{}, err
	}
	defer clear(secret)
	key, err := keyring.NewSlotKey(keyring.SlotCardPIN, secret)
	if err != nil {
		return busapi.PasscodeResult{}, err
	}
	return d.inVault(ctx, func(s *session.Session, held keyring.VaultKey) (busapi.PasscodeResult, error) {
		if held.Vault != id {
			return busapi.PasscodeResult{}, fmt.Errorf("%w: another device has taken over this device's saved data", busapi.ErrBusy)
		}
		if err := d.stillIn(ctx, s, owners); err != nil {
			return busapi.PasscodeResult{}, err
		}
		return d.sealToCard(ctx, s, held, key)
	})
}

func (d *Daemon) sealToCard(ctx context.Context, s *session.Session, held keyring.VaultKey, key keyring.SlotKey) (busapi.PasscodeResult, error) {
	next, err := rotated(held.Bundle)
	if err != nil {
		return busapi.PasscodeResult{}, err
	}
	delete(next.Recipients, keyring.SlotPasscode)
	next.Recipients[keyring.SlotCardPIN] = key.Recipient()
	held.Next, held.NextProtected, held.NextWraps = &next, true, true
	card, err := d.changeSlots(ctx, s, held, map[string][]byte{})
	return result(next, card), err
}

// mayTellPIN refuses a card that is not the owner's: it would be told the PIN, and lock
// the data up.
func (d *Daemon) mayTellPIN(ctx context.Context, s *session.Session) error {
	state, err := d.prove(ctx, s, true)
	if err == nil && (state == cardOther || state == cardUnproven) {
		err = fmt.Errorf("%w: the card in the reader is not the one of this device", busapi.ErrCard)
	}
	return err
}

// stillIn refuses another card than the one that proved to be the owner's: it may have been
// exchanged while its PIN was typed, and the keys would be sealed to what the other gave.
func (d *Daemon) stillIn(ctx context.Context, s *session.Session, owners keyring.Card) error {
	if err := d.mayTellPIN(ctx, s); err != nil {
		return err
	}
	now, err := d.keys.Card()
	if err == nil && (now.Identity != owners.Identity || !bytes.Equal(now.Key, owners.Key)) {
		err = fmt.Errorf("%w: the card in the reader was exchanged meanwhile", busapi.ErrCard)
	}
	return err
}

// cardSecret asks for the PIN until the card takes it, blocks it, or the owner gives up.
func (d *Daemon) cardSecret(ctx context.Context, id [16]byte, owners keyring.Card, p busapi.Prompter) ([]byte, error) {
	left, retry := triesLeft(d.keeper.card()), false
	for {
		pin, err := d.askPIN(ctx, p, left, retry)
		if err != nil {
			return nil, err
		}
		s, err := d.keeper.wait(ctx)
		if err != nil {
			return nil, err
		}
		if err := d.stillIn(ctx, s, owners); err != nil { // the PIN is not told to another
			return nil, translate(err)
		}
		secret, err := s.VerifyPIN(ctx, id, []byte(pin))
		if err == nil || !errors.Is(err, session.ErrWrongPasscode) {
			return secret, pinError(err)
		}
		left, retry = d.wrongPIN(err), true
	}
}

// triesLeft is how many tries the card's PIN has, as the reader last told; -1 if that is
// not known.
func triesLeft(c session.CardState) int64 {
	if !c.PIN.Known {
		return -1
	}
	return int64(c.PIN.Left)
}

func (d *Daemon) askPIN(ctx context.Context, p busapi.Prompter, left int64, retry bool) (string, error) {
	if p == nil {
		return "", busapi.ErrNoAgent
	}
	reader, err := d.keeper.reader()
	if err != nil {
		return "", err
	}
	pin, err := p.CardPIN(ctx, reader.Name, left, retry)
	if err == nil && pin == "" {
		err = busapi.ErrDeclined
	}
	return pin, err
}

// wrongPIN tells of a wrong PIN, and how many tries are left; -1: not known.
func (d *Daemon) wrongPIN(err error) (left int64) {
	left = -1
	if wrong, ok := errors.AsType[*session.RemoteError](err); ok {
		left = int64(wrong.Left)
	}
	d.keeper.setTries(left)
	d.event("attempt", map[string]any{"what": "card-pin", "left": left})
	return left
}

// pinError names a blocked PIN as what it is: waiting does not help.
func pinError(err error) error {
	if errors.Is(err, session.ErrLockedOut) {
		return busapi.ErrPINBlocked
	}
	return translate(err)
}
