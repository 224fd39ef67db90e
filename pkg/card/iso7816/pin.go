package iso7816

import (
	"context"
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/card"
)

// DefaultPIN is the number of the PIN where Config names none: the first one of
// the current DF.
const DefaultPIN = 0x81

// maxPIN is the largest number of bytes in a PIN.
const maxPIN = 16

// Config says what a card does not.
type Config struct {
	PIN     byte // qualifier of the reference data, 0 for DefaultPIN
	NoQuery bool // a VERIFY without data counts as a wrong PIN on this kind of card
}

// New makes the card.Profile of cards with a file system, for those of which
// more is known than Open takes for granted.
func New(config Config) card.Profile {
	if config.PIN == 0 {
		config.PIN = DefaultPIN
	}
	return func(ctx context.Context, ch card.Channel) (card.Medium, error) { return open(ctx, ch, config) }
}

// pinState is what a transaction learned of the PIN.
type pinState struct {
	verified bool
	last     *card.PINStatus // by a VERIFY that failed
}

// PINStatus implements card.PIN. The card is not asked: what is known is what QueryPIN
// or a wrong PIN has told in this transaction.
func (m *Medium) PINStatus(ctx context.Context) (card.PINStatus, error) {
	return m.pin.known(), ctx.Err()
}

// QueryPIN implements card.PIN.
func (m *Medium) QueryPIN(ctx context.Context) (card.PINStatus, error) {
	status, _, err := m.query(ctx)
	return status, pinFailure("query", err)
}

// query asks the card, unless Config forbids it. off tells that the card has a PIN and
// does not ask for it, or has none.
func (m *Medium) query(ctx context.Context) (status card.PINStatus, off bool, err error) {
	if m.config.NoQuery {
		return m.pin.known(), false, ctx.Err()
	}
	if status, err = m.reference().Status(ctx); err != nil {
		return status, false, err
	}
	if status.Verified && !m.pin.verified { // nobody has shown it
		status, off = card.PINStatus{State: card.PINNone, Tries: -1}, true
	}
	if !status.Verified {
		m.pin = pinState{last: &status}
	}
	return status, off, nil
}

func (p *pinState) known() card.PINStatus {
	switch {
	case p.verified:
		return card.PINStatus{State: card.PINSet, Tries: -1, Verified: true}
	case p.last != nil:
		return *p.last
	}
	return card.PINStatus{Tries: -1}
}

// note keeps what the answer to a PIN tells.
func (p *pinState) note(err error) {
	var wrong *card.PINError
	switch {
	case err == nil:
		*p = pinState{verified: true}
	case errors.Is(err, card.ErrPINBlocked):
		*p = pinState{last: &card.PINStatus{State: card.PINBlocked}}
	case errors.As(err, &wrong):
		*p = pinState{last: &card.PINStatus{State: card.PINSet, Tries: wrong.Tries}}
	}
}

// VerifyPIN implements card.PIN.
func (m *Medium) VerifyPIN(ctx context.Context, pin []byte) error {
	err := m.reference().Verify(ctx, pin)
	m.pin.note(err)
	return pinFailure("verify", err)
}

// ChangePIN implements card.PIN.
func (m *Medium) ChangePIN(ctx context.Context, old, new []byte) error {
	err := m.reference().Change(ctx, old, new)
	if err != nil {
		m.pin.note(err)
	}
	return pinFailure("change", err)
}

// UnblockPIN implements card.PIN.
func (m *Medium) UnblockPIN(ctx context.Context, puk, new []byte) error {
	err := m.reference().Unblock(ctx, puk, new)
	if err == nil {
		m.pin = pinState{}
	}
	return pinFailure("unblock", err)
}

// SetPIN implements card.PIN. A card that has a PIN and does not ask for it
// keeps that one: pin must be it, and a wrong one costs a try. One that has a PIN
// and asks for it is not shown pin, which costs no try.
func (m *Medium) SetPIN(ctx context.Context, pin []byte) error {
	return pinFailure("set", m.setPIN(ctx, pin))
}

func (m *Medium) setPIN(ctx context.Context, pin []byte) error {
	status, off, err := m.query(ctx)
	switch {
	case err != nil:
		return err
	case status.State == card.PINBlocked:
		return card.ErrPINBlocked
	case status.State == card.PINSet:
		return card.ErrPINExists
	}
	err = m.reference().Set(ctx, pin)
	if off && (errors.Is(err, card.ErrPINNeeded) || errors.Is(err, card.ErrUnsupported)) {
		if enabled := m.reference().Enable(ctx, pin); enabled == nil || errors.Is(enabled, card.ErrPIN) {
			err = enabled
		}
	}
	m.pin = pinState{}
	return err
}

// ClearPIN implements card.PIN.
func (m *Medium) ClearPIN(ctx context.Context, pin []byte) error {
	err := m.reference().Disable(ctx, pin)
	if err == nil {
		m.pin = pinState{}
	} else {
		m.pin.note(err)
	}
	return pinFailure("clear", err)
}

// reference is the card's PIN, which is sent as it is.
func (m *Medium) reference() Reference {
	return Reference{Link: m.files.link, Number: m.config.PIN, Code: func(pin []byte) ([]byte, error) {
		if len(pin) == 0 || len(pin) > maxPIN {
			return nil, fmt.Errorf("%w: %d bytes", card.ErrPINFormat, len(pin))
		}
		return pin, nil
	}}
}

func pinFailure(verb string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("cannot %s the PIN: %w", verb, err)
}

var _ card.PIN = (*Medium)(nil)
