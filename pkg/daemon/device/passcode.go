package device

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"unicode/utf8"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
)

// Bounds of a reprovisioning passcode, in bytes. The lower one keeps out what is
// guessed in a handful of tries; how long a passcode ought to be is in docs/security.md.
const (
	minPasscode = 6
	maxPasscode = 128
)

// SetPasscode sets the reprovisioning passcode, or another one (step 616), or makes the
// card's PIN take its place.
func (d *Daemon) SetPasscode(ctx context.Context, req busapi.PasscodeRequest, p busapi.Prompter) (busapi.PasscodeResult, error) {
	if req.CardPIN {
		return d.setCardPIN(ctx, req, p)
	}
	if err := d.mayPasscode(req.Change); err != nil {
		return busapi.PasscodeResult{}, err
	}
	code, err := p.NewPasscode(ctx, req.Change)
	if err != nil {
		return busapi.PasscodeResult{}, err
	}
	if err := checkPasscode(code); err != nil {
		return busapi.PasscodeResult{}, err
	}
	return d.inVault(ctx, func(s *session.Session, held keyring.VaultKey) (busapi.PasscodeResult, error) {
		next, err := rotated(held.Bundle) // the reader had the old key, or the old passcode opened it
		if err != nil {
			return busapi.PasscodeResult{}, err
		}
		delete(next.Recipients, keyring.SlotCardPIN) // the one takes the place of the other
		held.Next, held.NextProtected, held.NextWraps = &next, true, true
		return d.setSecret(ctx, s, held, keyring.SlotPasscode, code)
	})
}

// mayPasscode tells apart what is to be set first and what is to be changed.
func (d *Daemon) mayPasscode(change bool) error {
	if _, err := d.keeper.reader(); err != nil {
		return err
	}
	held, err := d.keys.VaultKey()
	switch has := err == nil && held.Recipients[keyring.SlotPasscode] != nil; {
	case has && !change:
		return fmt.Errorf("%w: a passcode is set already", busapi.ErrInvalidArguments)
	case !has && change:
		return fmt.Errorf("%w: no passcode is set", busapi.ErrInvalidArguments)
	}
	return nil
}

func checkPasscode(code string) error {
	if len(code) < minPasscode || len(code) > maxPasscode || !utf8.ValidString(code) {
		return fmt.Errorf("%w: a passcode has %d to %d bytes of UTF-8", busapi.ErrInvalidArguments, minPasscode, maxPasscode)
	}
	if _, err := keyring.NormalizeRecoveryCode(code); err == nil {
		return fmt.Errorf("%w: that is a recovery code", busapi.ErrInvalidArguments)
	}
	return nil
}

// ClearPasscode takes the passcode away: whoever the reader is paired with can have
// the data from then on, and so can whoever has the reader.
func (d *Daemon) ClearPasscode(ctx context.Context) (busapi.PasscodeResult, error) {
	return d.inVault(ctx, func(s *session.Session, held keyring.VaultKey) (busapi.PasscodeResult, error) {
		next := successor(held.Bundle)
		delete(next.Recipients, keyring.SlotPasscode)
		delete(next.Recipients, keyring.SlotCardPIN)
		held.Next, held.NextProtected = &next, false
		card, err := d.changeSlots(ctx, s, held, nil)
		return result(next, card), err
	})
}

// NewRecoveryCode makes a recovery code, in place of the one before, and tells it this
// once. It is written down nowhere.
func (d *Daemon) NewRecoveryCode(ctx context.Context) (busapi.RecoveryCode, error) {
	code, err := keyring.NewRecoveryCode(rand.Reader)
	if err != nil {
		return busapi.RecoveryCode{}, err
	}
	var before keyring.VaultKey
	r, err := d.inVault(ctx, func(s *session.Session, held keyring.VaultKey) (busapi.PasscodeResult, error) {
		before = held
		next := successor(held.Bundle)
		if held.NextWraps = held.Recipients[keyring.SlotRecovery] != nil; held.NextWraps { // the old code must open nothing any more
			if next, err = rotated(held.Bundle); err != nil {
				return busapi.PasscodeResult{}, err
			}
		}
		held.Next, held.NextProtected = &next, held.Protected
		return d.setSecret(ctx, s, held, keyring.SlotRecovery, code)
	})
	if err != nil && d.unsure(before) {
		// The reader may have it, and the code from before is void then: this one must not
		// be in force without the owner's knowing it.
		d.log.Warn("the reader has not confirmed the recovery code", "error", err)
		return busapi.RecoveryCode{
			Code: keyring.FormatRecoveryCode(code), Passcode: before.Protected, Pending: true, Card: cardInfo(d.keeper.card()),
		}, nil
	}
	if err != nil {
		return busapi.RecoveryCode{}, err
	}
	return busapi.RecoveryCode{Code: keyring.FormatRecoveryCode(code), Passcode: r.Passcode || r.CardPIN, Card: r.Card}, nil
}

// unsure tells that a recovery code was sent to the reader, and nothing was heard.
func (d *Daemon) unsure(before keyring.VaultKey) bool {
	held, err := d.keys.VaultKey()
	return err == nil && held.Next != nil && held.Vault == before.Vault &&
		!bytes.Equal(held.Next.Recipients[keyring.SlotRecovery], before.Recipients[keyring.SlotRecovery])
}

// inVault does something with the slots of this device's vault while nothing else
// uses it.
func (d *Daemon) inVault(ctx context.Context, do func(*session.Session, keyring.VaultKey) (busapi.PasscodeResult, error)) (busapi.PasscodeResult, error) {
	end, err := d.exclusively(ctx)
	if err != nil {
		return busapi.PasscodeResult{}, err
	}
	defer end()
	s, err := d.keeper.wait(ctx)
	if err != nil {
		return busapi.PasscodeResult{}, err
	}
	if _, err := d.ensure(ctx, s); err != nil {
		return busapi.PasscodeResult{}, translate(err)
	}
	held, err := d.keys.VaultKey()
	if err != nil {
		return busapi.PasscodeResult{}, err
	}
	if held.Next != nil {
		return busapi.PasscodeResult{}, fmt.Errorf("%w: an earlier change of passcode or key has not reached the reader yet", busapi.ErrBusy)
	}
	r, err := do(s, held)
	d.bus.Refresh()
	return r, translate(err)
}

// setSecret registers what opens a slot, and changes the slots to those of held.Next
// with it.
func (d *Daemon) setSecret(ctx context.Context, s *session.Session, held keyring.VaultKey, kind, secret string) (busapi.PasscodeResult, error) {
	e, err := keyring.NewEnrolment(secret, keyring.StretchOf(kind))
	if err != nil {
		return busapi.PasscodeResult{}, err
	}
	response, err := s.Register(ctx, session.Entry{Vault: held.Vault, Kind: kind}, e.Request())
	if err != nil {
		return busapi.PasscodeResult{}, err
	}
	record, exported, err := e.Finish(response)
	if err != nil {
		return busapi.PasscodeResult{}, err
	}
	defer clear(exported)
	key, err := keyring.NewSlotKey(kind, exported)
	if err != nil {
		return busapi.PasscodeResult{}, err
	}
	held.Next.Recipients[kind] = key.Recipient()
	next := *held.Next
	card, err := d.changeSlots(ctx, s, held, map[string][]byte{kind: record})
	return result(next, card), err
}

func result(b keyring.Bundle, card session.CardState) busapi.PasscodeResult {
	return busapi.PasscodeResult{
		Passcode: b.Recipients[keyring.SlotPasscode] != nil, CardPIN: b.Recipients[keyring.SlotCardPIN] != nil,
		RecoveryCode: b.Recipients[keyring.SlotRecovery] != nil, Card: cardInfo(card),
	}
}
