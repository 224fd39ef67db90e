package piv

import (
	"bytes"
	"context"
	"fmt"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/iso7816"
)

// The PIN of the PIV application (SP 800-73-4 part 2, 2.4.3).
const (
	pinReference = 0x80
	minPIN       = 6
	maxPIN       = 8 // to which it is filled up
	pinFiller    = 0xFF
)

// codePIN fills a PIN or PUK up.
func codePIN(pin []byte) ([]byte, error) {
	if len(pin) < minPIN || len(pin) > maxPIN || bytes.IndexByte(pin, pinFiller) >= 0 {
		return nil, fmt.Errorf("%w: %d to %d characters are wanted", card.ErrPINFormat, minPIN, maxPIN)
	}
	b := bytes.Repeat([]byte{pinFiller}, maxPIN)
	copy(b, pin)
	return b, nil
}

func (m *Medium) reference() iso7816.Reference {
	return iso7816.Reference{Link: m.link, Number: pinReference, Code: codePIN}
}

// PINStatus implements card.PIN. On a PIV card asking costs no try.
func (m *Medium) PINStatus(ctx context.Context) (card.PINStatus, error) {
	status, err := m.reference().Status(ctx)
	return status, failure("ask for the PIN's tries", err)
}

// QueryPIN implements card.PIN.
func (m *Medium) QueryPIN(ctx context.Context) (card.PINStatus, error) { return m.PINStatus(ctx) }

// VerifyPIN implements card.PIN.
func (m *Medium) VerifyPIN(ctx context.Context, pin []byte) error {
	return failure("verify the PIN", m.reference().Verify(ctx, pin))
}

// ChangePIN implements card.PIN.
func (m *Medium) ChangePIN(ctx context.Context, old, new []byte) error {
	return failure("change the PIN", m.reference().Change(ctx, old, new))
}

// UnblockPIN implements card.PIN with the PUK.
func (m *Medium) UnblockPIN(ctx context.Context, puk, new []byte) error {
	return failure("unblock the PIN", m.reference().Unblock(ctx, puk, new))
}

// SetPIN implements card.PIN: a PIV card has always got one, ErrUnsupported.
func (m *Medium) SetPIN(context.Context, []byte) error {
	return fmt.Errorf("cannot set the PIN: %w: a PIV card comes with one", card.ErrUnsupported)
}

// ClearPIN implements card.PIN: a PIV card cannot do without, ErrUnsupported.
func (m *Medium) ClearPIN(context.Context, []byte) error {
	return fmt.Errorf("cannot clear the PIN: %w: a PIV card keeps its own", card.ErrUnsupported)
}

func failure(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("cannot %s: %w", what, err)
}

var _ card.PIN = (*Medium)(nil)
