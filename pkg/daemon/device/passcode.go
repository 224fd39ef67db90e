package device

import (
	"context"
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/reprovision"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// SetPasscode makes the card's PIN what a replacement device needs: the vault key
// is wrapped with what the card gives away after its PIN, and the slot that opens
// without goes.
func (d *Daemon) SetPasscode(ctx context.Context, req busapi.PasscodeRequest, p busapi.Prompter) error {
	if !req.CardPIN {
		return fmt.Errorf("%w: the passcode can be the card's PIN only", busapi.ErrInvalidArguments)
	}
	s, err := d.keeper.wait(ctx)
	if err != nil {
		return err
	}
	v, err := d.ensure(ctx, s)
	if err != nil {
		return translate(err)
	}
	switch state, err := d.prove(ctx, s); {
	case err != nil:
		return translate(err)
	case state == cardOther, state == cardUnproven: // it would be told the PIN, and lock the data up
		return fmt.Errorf("%w: the card in the reader is not the one of this device", busapi.ErrCard)
	}
	got, err := d.unlock(ctx, s, v.id, p)
	if err != nil {
		return err
	}
	defer clear(got.Secret)
	data, err := keyring.SealSlot(got.Secret, v.id, v.key.Bytes())
	if err != nil {
		return err
	}
	// First here: whatever is cut short, no slot that is open to all is made again.
	if err := d.keys.SetSlot(v.id, keyring.SlotCardPIN, data); err != nil {
		return err
	}
	return d.setSlots(ctx, s, v.id, session.Slot{Kind: keyring.SlotCardPIN, Data: data})
}

// ClearPasscode lets any device that the reader is paired with open the vault.
func (d *Daemon) ClearPasscode(ctx context.Context) error {
	s, err := d.keeper.wait(ctx)
	if err != nil {
		return err
	}
	if err := d.keys.ClearSlot(); err != nil {
		return err
	}
	v, err := d.ensure(ctx, s)
	if err != nil {
		return translate(err)
	}
	return d.setSlots(ctx, s, v.id, session.Slot{Kind: slotReader, Data: v.key.Bytes()})
}

func (d *Daemon) setSlots(ctx context.Context, s *session.Session, id vault.VaultID, slot session.Slot) error {
	state, err := s.SetSlots(ctx, id, []session.Slot{slot})
	if err != nil {
		return translate(err)
	}
	d.keeper.setCard(state)
	return nil
}

// unlock asks for the PIN until the card takes it, blocks it, or the owner gives
// up (steps 618 and 620).
func (d *Daemon) unlock(ctx context.Context, s *session.Session, id vault.VaultID, p busapi.Prompter) (session.Unlocked, error) {
	left, retry := int64(-1), false
	for {
		pin, err := d.askPIN(ctx, p, left, retry)
		if err != nil {
			return session.Unlocked{}, err
		}
		got, err := s.UnlockVault(ctx, id, []byte(pin))
		wrong, counted := errors.AsType[*session.RemoteError](err)
		if err == nil || !errors.Is(err, session.ErrWrongPasscode) {
			return got, pinError(err)
		}
		if left, retry = -1, true; counted {
			left = int64(wrong.Left)
		}
		d.event("attempt", map[string]any{"what": "card-pin", "left": left})
	}
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

// pinError names a blocked PIN as what it is: waiting does not help.
func pinError(err error) error {
	if errors.Is(err, session.ErrLockedOut) {
		return busapi.ErrPINBlocked
	}
	return translate(err)
}

// closed tells whether what is to be restored opens with the card's PIN only
// (step 616).
func (r *restoreRun) closed() bool {
	return r.from != nil && !hasSlot(*r.from, slotReader)
}

// open has the owner enter the card's PIN (step 618) and the card verify it (620),
// by which this device takes over the data of the earlier one. Meanwhile other
// operations run.
func (r *restoreRun) open(ctx context.Context) (reprovision.Event, error) {
	if r.dry {
		return 0, fmt.Errorf("%w: the reader has data of an earlier device that opens with the card's PIN, and to look into it is to take it over", busapi.ErrInputNeeded)
	}
	r.end()
	got, err := r.unlock(ctx, r.session, r.from.ID, r.prompter)
	end, berr := r.ops.begin(ctx, activityReprovision)
	if berr != nil {
		r.end = func() {}
		return 0, berr
	}
	r.end = end
	if err != nil {
		return 0, err
	}
	defer clear(got.Secret)
	if err := r.adoptWith(got); err != nil {
		return 0, err
	}
	r.attest(ctx, r.session) // the card is this device's from now on
	found, err := r.pick(ctx)
	if err == nil && !found {
		err = busapi.ErrNoData
	}
	return reprovision.Accepted, err
}

// adoptWith takes the vault key out of the slot that the card's secret opens.
func (r *restoreRun) adoptWith(got session.Unlocked) error {
	for _, s := range got.Slots {
		if s.Kind != keyring.SlotCardPIN {
			continue
		}
		raw, err := keyring.OpenSlot(got.Secret, r.from.ID, s.Data)
		if err != nil {
			return fmt.Errorf("%w: %w", busapi.ErrCard, err)
		}
		defer clear(raw)
		key, err := vault.KeyFromBytes(raw)
		if err != nil {
			return err
		}
		r.vault = opened{id: r.from.ID, key: key}
		r.log.Info("took over the data of an earlier device", "device", r.from.Owner)
		r.from, r.fromName = nil, ""
		r.findings.setOffer("")
		return errors.Join(r.keys.SetSlot(r.vault.id, s.Kind, s.Data), r.keys.SetVaultKey(r.vault.id, raw))
	}
	return fmt.Errorf("%w: the reader has no slot that the card's PIN opens", busapi.ErrCard)
}
