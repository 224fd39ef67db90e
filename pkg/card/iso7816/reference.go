package iso7816

import (
	"context"
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/card"
)

// Instructions for reference data (ISO/IEC 7816-4, 11.6).
const (
	insVerify       = 0x20
	insChange       = 0x24
	insDisable      = 0x26
	insEnable       = 0x28
	insResetRetries = 0x2C
)

// newOnly is the P1 of CHANGE REFERENCE DATA without the old ones.
const newOnly = 0x01

// Reference speaks the commands for one PIN of a card. Wrong PINs give a
// *card.PINError, a blocked one card.ErrPINBlocked.
type Reference struct {
	Link   Link
	Number byte                         // P2, the qualifier of the reference data
	Code   func([]byte) ([]byte, error) // from a PIN to the bytes that the card wants
}

// Status asks by a VERIFY without data. The standard has that tell the tries at
// no cost (ISO/IEC 7816-4, 11.6.6); some cards count it as a wrong PIN all the same. Status 9000, no PIN being wanted, gives Verified.
func (r Reference) Status(ctx context.Context) (card.PINStatus, error) {
	_, err := r.Link.Exchange(ctx, Command{INS: insVerify, P2: r.Number})
	var wrong *card.PINError
	switch err = pinError(err); {
	case err == nil:
		return card.PINStatus{State: card.PINSet, Tries: -1, Verified: true}, nil
	case errors.Is(err, card.ErrPINBlocked):
		return card.PINStatus{State: card.PINBlocked}, nil
	case errors.As(err, &wrong):
		return card.PINStatus{State: card.PINSet, Tries: wrong.Tries}, nil
	case IsStatus(err, SWReferenceMissing):
		return card.PINStatus{State: card.PINNone, Tries: -1}, nil
	}
	return card.PINStatus{}, err
}

// Verify is VERIFY.
func (r Reference) Verify(ctx context.Context, pin []byte) error {
	return r.send(ctx, insVerify, 0, pin)
}

// Change is CHANGE REFERENCE DATA with the old PIN.
func (r Reference) Change(ctx context.Context, old, new []byte) error {
	return r.send(ctx, insChange, 0, old, new)
}

// Unblock is RESET RETRY COUNTER with an unblocking code and a new PIN.
func (r Reference) Unblock(ctx context.Context, puk, new []byte) error {
	return r.send(ctx, insResetRetries, 0, puk, new)
}

// Set is CHANGE REFERENCE DATA without an old PIN, for a card that has none.
func (r Reference) Set(ctx context.Context, pin []byte) error {
	return r.send(ctx, insChange, newOnly, pin)
}

// Enable is ENABLE VERIFICATION REQUIREMENT.
func (r Reference) Enable(ctx context.Context, pin []byte) error {
	return r.send(ctx, insEnable, 0, pin)
}

// Disable is DISABLE VERIFICATION REQUIREMENT.
func (r Reference) Disable(ctx context.Context, pin []byte) error {
	return r.send(ctx, insDisable, 0, pin)
}

// send runs a command whose data are codes, one behind the other. A command
// without data would mean something else: a code is never empty.
func (r Reference) send(ctx context.Context, ins, p1 byte, codes ...[]byte) error {
	var data []byte
	for _, code := range codes {
		b, err := r.Code(code)
		if err != nil {
			return err
		}
		if len(b) == 0 {
			return card.ErrPINFormat
		}
		data = append(data, b...)
	}
	_, err := r.Link.Exchange(ctx, Command{INS: ins, P1: p1, P2: r.Number, Data: data})
	return pinError(err)
}

// pinError says in the terms of package card what the answer to a PIN means.
func pinError(err error) error {
	var status StatusError
	if err == nil || !errors.As(err, &status) {
		return err
	}
	switch {
	case status.SW&0xFFF0 == 0x63C0:
		return fmt.Errorf("%w: %w", &card.PINError{Tries: int(status.SW & 0x0F)}, err)
	case status.SW == 0x6300:
		return fmt.Errorf("%w: %w", &card.PINError{Tries: -1}, err)
	}
	switch status.SW {
	case SWBlocked, SWInvalidated:
		return fmt.Errorf("%w: %w", card.ErrPINBlocked, err)
	case SWWrongLength, SWWrongData:
		return fmt.Errorf("%w: %w", card.ErrPINFormat, err)
	case SWReferenceMissing, SWUnknownINS, SWUnknownCLA, SWNotSupported, SWWrongP1P2:
		return fmt.Errorf("%w: %w", card.ErrUnsupported, err)
	case SWSecurity, SWConditions:
		return fmt.Errorf("%w: %w", card.ErrPINNeeded, err)
	}
	return err
}
