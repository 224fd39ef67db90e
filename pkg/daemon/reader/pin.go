package reader

import (
	"context"
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/session"
)

// CardPIN asks the card how its PIN stands.
func (d *Daemon) CardPIN(ctx context.Context) (busapi.PINInfo, error) {
	return d.withPIN(ctx, "PIN", queryPIN)
}

func queryPIN(ctx context.Context, p card.PIN) error {
	_, err := p.QueryPIN(ctx)
	return err
}

// CardSetPIN gives the card a PIN. A PUK says that it has one already, which is
// blocked or forgotten.
func (d *Daemon) CardSetPIN(ctx context.Context, codes busapi.PINCodes) (busapi.PINInfo, error) {
	if codes.New == "" {
		return busapi.PINInfo{}, errNoCode("new_pin")
	}
	if codes.PUK == "" {
		return d.withPIN(ctx, "PIN", func(ctx context.Context, p card.PIN) error { return p.SetPIN(ctx, []byte(codes.New)) })
	}
	return d.withPIN(ctx, "PUK", func(ctx context.Context, p card.PIN) error {
		return p.UnblockPIN(ctx, []byte(codes.PUK), []byte(codes.New))
	})
}

// CardChangePIN replaces the card's PIN.
func (d *Daemon) CardChangePIN(ctx context.Context, codes busapi.PINCodes) (busapi.PINInfo, error) {
	switch {
	case codes.PIN == "":
		return busapi.PINInfo{}, errNoCode("pin")
	case codes.New == "":
		return busapi.PINInfo{}, errNoCode("new_pin")
	}
	return d.withPIN(ctx, "PIN", func(ctx context.Context, p card.PIN) error {
		return p.ChangePIN(ctx, []byte(codes.PIN), []byte(codes.New))
	})
}

// CardClearPIN makes the card not ask for its PIN any more.
func (d *Daemon) CardClearPIN(ctx context.Context, codes busapi.PINCodes) (busapi.PINInfo, error) {
	if codes.PIN == "" {
		return busapi.PINInfo{}, errNoCode("pin")
	}
	return d.withPIN(ctx, "PIN", func(ctx context.Context, p card.PIN) error { return p.ClearPIN(ctx, []byte(codes.PIN)) })
}

func errNoCode(name string) error {
	return fmt.Errorf("%w: %s is missing", busapi.ErrInvalidArguments, name)
}

// withPIN does something with the card's PIN and takes note of how it stands
// then, whatever came of it.
func (d *Daemon) withPIN(ctx context.Context, code string, do func(context.Context, card.PIN) error) (busapi.PINInfo, error) {
	try := func(ctx context.Context, _ card.Medium, p card.PIN) error { return do(ctx, p) }
	st, err := d.tryPIN(ctx, d.mirror.inUse(), try)
	d.tellAttempt(err)
	return busapi.PINInfo{PIN: st.State.String(), Tries: int64(st.Tries)}, pinError(err, code)
}

// tryPIN does something with the PIN of the card in one reader in a transaction. What is known of the PIN
// then is for whoever asks the owner for it next.
func (d *Daemon) tryPIN(ctx context.Context, reader string, do func(context.Context, card.Medium, card.PIN) error) (card.PINStatus, error) {
	st, err := d.oncePIN(ctx, reader, do)
	if st.Verified && st.Tries < 0 { // with the PIN shown the card does not tell its tries
		query := func(ctx context.Context, _ card.Medium, p card.PIN) error { return queryPIN(ctx, p) }
		if now, again := d.oncePIN(ctx, reader, query); again == nil {
			st = now
		}
	}
	d.presence.tellAll(session.Event{Kind: session.EventCard})
	return st, err
}

func (d *Daemon) oncePIN(ctx context.Context, reader string, do func(context.Context, card.Medium, card.PIN) error) (card.PINStatus, error) {
	pulls, st := d.mirror.pulled(), card.PINStatus{Tries: -1}
	err := d.mirror.visitIn(ctx, reader, func(ctx context.Context, m card.Medium) error {
		p, ok := m.(card.PIN)
		if !ok {
			return fmt.Errorf("%w: it can have no PIN", card.ErrUnsupported)
		}
		did := do(ctx, m, p)
		now, err := p.PINStatus(ctx)
		if err == nil {
			st = now
			d.mirror.notePIN(pulls, reader, now)
		}
		return errors.Join(did, err)
	})
	return st, err
}

// tellAttempt lets whoever listens know of a wrong PIN.
func (d *Daemon) tellAttempt(err error) {
	var wrong *card.PINError
	if errors.As(err, &wrong) {
		d.event("attempt", map[string]any{"what": "card-pin", "left": int64(wrong.Tries)})
	}
	d.bus.Refresh()
}

// refusal says of which code a sentinel speaks.
type refusal struct {
	text string
	is   error
}

func (r refusal) Error() string { return r.text }
func (r refusal) Unwrap() error { return r.is }

// pinError gives an error about a code of the card its name on the bus. It holds
// nothing of the code.
func pinError(err error, code string) error {
	var wrong *card.PINError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, card.ErrPINBlocked):
		return refusal{"the card's " + code + " is blocked", busapi.ErrPINBlocked}
	case errors.As(err, &wrong) && wrong.Tries >= 0:
		return refusal{fmt.Sprintf("wrong %s, %d left before it is blocked", code, wrong.Tries), busapi.ErrWrongPIN}
	case errors.Is(err, card.ErrPIN):
		return refusal{"wrong " + code, busapi.ErrWrongPIN}
	case errors.Is(err, card.ErrPINFormat), errors.Is(err, card.ErrPINExists):
		return fmt.Errorf("%w: %w", busapi.ErrInvalidArguments, err)
	}
	return fmt.Errorf("%w: %w", busapi.ErrCard, err)
}
