package reader

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// checkSuffix ends the kind of a slot that is the reader's own: what it checks the
// entry for the slot of the kind before it by. Its data are a tag of 16 bytes, which
// says which registration it is, and the check. No device is given it.
const checkSuffix = "-check"

func isCheck(kind string) bool { return strings.HasSuffix(kind, checkSuffix) }

// checked tells the kinds of slot that are handed out only after a check.
func checked(kind string) bool { return kind == keyring.SlotPasscode || kind == keyring.SlotRecovery }

// opens tells whether another device than its owner could open a vault.
func opens(r vault.Record) bool {
	return slot(r, keyring.SlotReader) != nil || slot(r, keyring.SlotCardPIN) != nil ||
		slices.ContainsFunc(r.Slots, func(s vault.Slot) bool { return isCheck(s.Kind) })
}

// Register answers the registration of a passcode or a recovery code. Nothing is
// stored before ChangeSlots brings the record.
func (d *Daemon) Register(_ context.Context, p session.Peer, e session.Entry, request []byte) ([]byte, error) {
	if _, err := d.mine(p, e.Vault); err != nil {
		return nil, err
	}
	if !checked(e.Kind) {
		return nil, fmt.Errorf("%w: no slot of kind %q is checked", session.ErrBadRequest, e.Kind)
	}
	r, err := keyring.NewRegistration()
	if err != nil {
		return nil, err
	}
	response, err := r.Respond(request)
	if err != nil {
		return nil, remote(err)
	}
	d.entries.register(p, e, r)
	return response, nil
}

// ChangeSlots replaces the slots of a vault, all at once, and rewraps what it holds
// where that is wanted. What is replaced is gone from the store's file and from the
// card. The answer waits for the card, for the device has to know whether the old
// slots are on one still.
func (d *Daemon) ChangeSlots(ctx context.Context, p session.Peer, c session.SlotChange) (session.CardState, error) {
	rotates := len(c.Wrap) > 0
	anew, err := d.changeSlots(p, c)
	if err != nil {
		return session.CardState{}, remote(err)
	}
	if anew { // another passcode: what was guessed at is gone
		if err := d.attempts.Reset(c.Vault); err != nil {
			return session.CardState{}, err
		}
		d.showAttempts()
	}
	d.log.Info("key slots changed", "device", p.ID, "vault", vault.VaultID(c.Vault), "rotated", rotates)
	d.event("slots", map[string]any{"device": p.ID, "vault": vault.VaultID(c.Vault).String(), "rotated": rotates})
	d.presence.tell(p.ID, session.Event{Kind: session.EventCard})
	return d.mirror.update(ctx, c.Vault), nil
}

// changeSlots tells whether there is another passcode from now on.
func (d *Daemon) changeSlots(p session.Peer, c session.SlotChange) (anew bool, err error) {
	d.records.Lock()
	defer d.records.Unlock()
	r, err := d.mine(p, c.Vault)
	if err != nil {
		return false, err
	}
	before := r.Slots
	if r.Slots, err = d.newSlots(p, r, c); err != nil {
		return false, err
	}
	if err := succeed(&r, p, c); err != nil {
		return false, err
	}
	if err := d.replaceSlots(r, before, c); err != nil {
		return false, err
	}
	d.entries.registered(p, c.Vault)
	return !sameSlot(before, r.Slots, keyring.SlotPasscode+checkSuffix), nil
}

// succeed makes the record that of the change, whose epoch is never less than the last.
func succeed(r *vault.Record, p session.Peer, c session.SlotChange) error {
	if c.Epoch < r.Epoch {
		return fmt.Errorf("%w: key slots of epoch %d, these are of %d", session.ErrStale, c.Epoch, r.Epoch)
	}
	r.Epoch, r.Voucher = c.Epoch, c.Voucher
	if len(c.Voucher) > 0 && !slotsOf(*r).VouchedBy(p.Key, c.Voucher) {
		return fmt.Errorf("%w: a voucher that is not this device's, or for other key slots", session.ErrBadRequest)
	}
	if len(c.Wrap) > 0 {
		r.Behind = false
	}
	return r.Check()
}

func (d *Daemon) replaceSlots(r vault.Record, before []vault.Slot, c session.SlotChange) error {
	if len(c.Wrap) == 0 && !slices.ContainsFunc(before, func(s vault.Slot) bool { return !has(r.Slots, s) }) {
		return d.store.Update(r) // nothing is taken away
	}
	var rot vault.Rotation
	for _, key := range c.Strip {
		rot.Strip = append(rot.Strip, vault.Outer(key))
	}
	copy(rot.Wrap[:], c.Wrap)
	defer func() { // nothing of them stays here
		clear(c.Strip)
		clear(c.Wrap)
		rot = vault.Rotation{}
	}()
	err := d.store.Rotate(r, rot)
	if errors.Is(err, vault.ErrTraces) { // the slots are in force: the device must not hear otherwise
		d.log.Error("the old key slots may be left on the disk", "vault", r.ID, "error", err)
		d.event("slots", map[string]any{"vault": r.ID.String(), "traces": true})
		return nil
	}
	return err
}

func has(slots []vault.Slot, s vault.Slot) bool {
	return slices.ContainsFunc(slots, func(o vault.Slot) bool { return o.Kind == s.Kind && bytes.Equal(o.Data, s.Data) })
}

// sameSlot tells whether the slot of a kind is the same in both, or in neither.
func sameSlot(a, b []vault.Slot, kind string) bool {
	find := func(slots []vault.Slot) []byte {
		for _, s := range slots {
			if s.Kind == kind {
				return s.Data
			}
		}
		return nil
	}
	return bytes.Equal(find(a), find(b))
}

// newSlots is what a vault's slots are to be, each with its check.
func (d *Daemon) newSlots(p session.Peer, r vault.Record, c session.SlotChange) ([]vault.Slot, error) {
	var slots []vault.Slot
	for _, n := range c.Slots {
		if isCheck(n.Kind) || slices.ContainsFunc(slots, func(s vault.Slot) bool { return s.Kind == n.Kind }) {
			return nil, fmt.Errorf("%w: a slot of kind %q cannot be set, or is set twice", session.ErrBadRequest, n.Kind)
		}
		slots = append(slots, vault.Slot{Kind: n.Kind, Data: n.Data})
		if !checked(n.Kind) {
			continue
		}
		check, err := d.checkFor(p, r, n)
		if err != nil {
			return nil, err
		}
		slots = append(slots, vault.Slot{Kind: n.Kind + checkSuffix, Data: append(n.Tag[:], check...)})
	}
	made, kinds := vault.Record{Slots: slots}, 0
	for _, kind := range []string{keyring.SlotReader, keyring.SlotPasscode, keyring.SlotCardPIN} {
		if slot(made, kind) != nil {
			kinds++
		}
	}
	if kinds > 1 {
		return nil, fmt.Errorf("%w: of a passcode, a card's PIN and a slot that opens without, a vault has one", session.ErrBadRequest)
	}
	return slots, nil
}

// checkFor is the check of a slot: of the registration that the change completes, or
// the one that is there if it belongs to the slot.
func (d *Daemon) checkFor(p session.Peer, r vault.Record, n session.NewSlot) ([]byte, error) {
	if len(n.Record) > 0 {
		begun := d.entries.registration(p, session.Entry{Vault: session.ID(r.ID), Kind: n.Kind})
		if begun == nil {
			return nil, fmt.Errorf("%w: no registration of a %s has begun", session.ErrBadRequest, n.Kind)
		}
		return begun.Finish(n.Record)
	}
	old := slot(r, n.Kind+checkSuffix)
	if old == nil || len(old.Data) < len(n.Tag) || !bytes.Equal(old.Data[:len(n.Tag)], n.Tag[:]) {
		return nil, fmt.Errorf("%w: the %s was never registered", session.ErrBadRequest, n.Kind)
	}
	return old.Data[len(n.Tag):], nil
}
