package reader

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/reprovision/reprovision/pkg/card/virtual"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

func (r *rig) slotsOnCard(id vault.VaultID) (kinds []string) {
	r.Helper()
	p, err := r.d.mirror.read(r.Context(), id)
	r.must(err)
	for _, s := range p.Record.Slots {
		kinds = append(kinds, s.Kind)
	}
	return kinds
}

// pinSlot is a card-pin slot as the owner's device makes it, for a card's secret.
func (r *rig) pinSlot(id vault.VaultID, secret []byte) session.SlotChange {
	r.Helper()
	key, err := keyring.NewSlotKey(keyring.SlotCardPIN, secret)
	r.must(err)
	b := keyring.Bundle{
		Keys:       [][]byte{bytes.Repeat([]byte{1}, vault.KeySize)},
		Recipients: map[string][]byte{keyring.SlotCardPIN: key.Recipient()},
	}
	data, err := b.SealSlot(id, keyring.SlotCardPIN)
	r.must(err)
	return session.SlotChange{Vault: id, Slots: []session.NewSlot{{Slot: session.Slot{Kind: keyring.SlotCardPIN, Data: data}}}}
}

// TestStrangersCardAndPIN has a paired stranger put in a card of their own, whose PIN
// they know: blank, or with the vault's id on it. It opens nothing, whatever it says.
func TestStrangersCardAndPIN(t *testing.T) {
	r, slot := newTokenRig(t, virtual.PIV{})
	ctx, pin := t.Context(), []byte(virtual.DefaultPIN)
	phone := r.pair("phone")
	id := r.create(phone, 1)
	r.initCard()
	r.wantCard(r.backUp(phone, id, blob(1, 100)), session.CardOK)
	secret, err := r.d.VerifyPIN(ctx, phone, id, pin)
	r.must(err)
	_, err = r.d.ChangeSlots(ctx, phone, r.pinSlot(id, secret))
	r.must(err)

	thief := r.stranger(7)
	refused := func(want error) {
		t.Helper()
		got, err := r.d.VerifyPIN(ctx, thief, id, pin)
		r.want(err, want)
		if got != nil {
			t.Error("a secret is given away")
		}
		_, err = r.d.ClaimVault(ctx, thief, id)
		r.want(err, session.ErrNotAllowed)
		if r.vaults(thief)[id].Mine {
			t.Fatal("the stranger owns the vault")
		}
	}
	whole := slot.card
	slot.card = newToken(t, virtual.PIV{})
	r.initCard()             // the only vault is written to it
	refused(session.ErrCard) // it has no secret
	_, err = r.d.VerifyPIN(ctx, phone, id, pin)
	r.must(err) // from here on it has one, by whoever
	refused(session.ErrNotAllowed)
	r.d.mirror.mu.Lock()
	r.d.mirror.seen.facts.blank = true
	r.d.mirror.mu.Unlock()
	refused(session.ErrCard)

	slot.card = whole
	r.insert()
	_, err = r.d.VerifyPIN(ctx, thief, id, pin)
	r.must(err)
	_, err = r.d.ClaimVault(ctx, thief, id)
	r.must(err)
}

// TestVerifyPIN is a replacement device: it gets nothing by being paired, and
// everything by the card and its PIN.
func TestVerifyPIN(t *testing.T) {
	r, slot := newTokenRig(t, virtual.PIV{})
	ctx, pin := t.Context(), []byte(virtual.DefaultPIN)
	old, fresh := r.pair("old phone"), r.pair("new phone")
	id := r.create(old, 1, keyring.SlotReader)
	_, err := r.d.VerifyPIN(ctx, old, id, pin)
	r.want(err, session.ErrCard) // not prepared
	r.initCard()
	r.wantCard(r.backUp(old, id, blob(1, 100)), session.CardOK)

	made, err := r.d.VerifyPIN(ctx, old, id, pin)
	r.must(err)
	if len(made) != secretSize {
		t.Fatalf("the owner gets %d bytes", len(made))
	}
	_, err = r.d.VerifyPIN(ctx, fresh, id, pin)
	r.want(err, session.ErrNotAllowed) // no slot that it opens
	_, err = r.d.ChangeSlots(ctx, fresh, session.SlotChange{Vault: id})
	r.want(err, session.ErrNotAllowed)
	to := r.pinSlot(id, made)
	state, err := r.d.ChangeSlots(ctx, old, to)
	r.must(err)
	r.wantCard(state, session.CardOK)
	if kinds := r.slotsOnCard(id); len(kinds) != 1 || kinds[0] != keyring.SlotCardPIN {
		t.Errorf("the card has slots %v", kinds)
	}
	_, err = r.d.ClaimVault(ctx, fresh, id)
	r.want(err, session.ErrNotAllowed)

	r.d.Connected(old)
	_, err = r.d.VerifyPIN(ctx, fresh, id, pin)
	r.want(err, session.ErrNotAllowed) // the owner is here
	r.d.Disconnected(old, nil)
	for left := 2; left > 0; left-- {
		_, err = r.d.VerifyPIN(ctx, fresh, id, []byte("999999"))
		wrong, ok := errors.AsType[*session.WrongPasscode](err)
		if !ok || wrong.Left != left {
			t.Fatalf("got %v, want %d left", err, left)
		}
	}
	_, err = r.d.VerifyPIN(ctx, fresh, id, []byte("12")) // costs no try
	if wrong, ok := errors.AsType[*session.WrongPasscode](err); !ok || wrong.Left != 1 {
		t.Fatalf("got %v", err)
	}
	if v := r.vaults(fresh)[id]; v.Mine || v.Slots[0].Data != nil {
		t.Fatalf("a wrong PIN gave %+v", v)
	}
	got, err := r.d.VerifyPIN(ctx, fresh, id, pin)
	r.must(err)
	slots, err := r.d.ClaimVault(ctx, fresh, id)
	r.must(err)
	if !bytes.Equal(got, made) || len(slots) != 1 || !bytes.Equal(slots[0].Data, to.Slots[0].Data) {
		t.Errorf("got %+v", slots)
	}
	if !r.vaults(fresh)[id].Mine || r.vaults(old)[id].Mine {
		t.Error("the owner did not change")
	}

	for range 3 {
		_, err = r.d.VerifyPIN(ctx, fresh, id, []byte("999999"))
	}
	r.want(err, session.ErrLockedOut)
	_, err = r.d.VerifyPIN(ctx, fresh, id, pin)
	r.want(err, session.ErrLockedOut)
	slot.card = nil
	_, err = r.d.VerifyPIN(ctx, fresh, id, pin)
	r.want(err, session.ErrCard)
}

// TestUnlockOtherCard puts another card in: its PIN opens nothing of this vault.
func TestUnlockOtherCard(t *testing.T) {
	r, slot := newTokenRig(t, virtual.PIV{})
	phone := r.pair("phone")
	id := r.create(phone, 1, keyring.SlotCardPIN)
	r.initCard()
	r.wantCard(r.backUp(phone, id, blob(1, 100)), session.CardOK)
	slot.card = newToken(t, virtual.PIV{}) // unseen: the daemon has not looked
	_, err := r.d.VerifyPIN(t.Context(), r.pair("new phone"), id, []byte(virtual.DefaultPIN))
	r.want(err, session.ErrCard)
	file := newRig(t)
	phone = file.pair("phone")
	id = file.create(phone, 1)
	file.initCard()
	file.wantCard(file.backUp(phone, id, blob(1, 100)), session.CardOK)
	_, err = file.d.VerifyPIN(t.Context(), phone, id, []byte("123456"))
	file.want(err, session.ErrCard) // it can have no PIN
}

// TestClosedWhileTheCardWasOut closes a vault when the write to its card fails: the card
// loses the open slot once it is back, and gives it to no store that is closed.
func TestClosedWhileTheCardWasOut(t *testing.T) {
	r := newRig(t)
	phone := r.pair("phone")
	id := r.create(phone, 1, keyring.SlotReader)
	r.initCard()
	r.wantCard(r.backUp(phone, id, blob(1, 100)), session.CardOK)
	whole := r.d.mirror.reader
	r.d.mirror.reader = &cutting{Reader: whole, at: 1}
	_, err := r.d.ChangeSlots(t.Context(), phone, session.SlotChange{Vault: id, Slots: []session.NewSlot{
		{Slot: session.Slot{Kind: keyring.SlotCardPIN, Data: []byte("wrapped")}},
	}})
	r.must(err)
	r.d.mirror.reader = whole
	if kinds := r.slotsOnCard(id); !slices.Equal(kinds, []string{keyring.SlotReader}) {
		t.Fatalf("the card has slots %v already", kinds)
	}
	r.wantCard(r.insert(), session.CardOK)
	if kinds := r.slotsOnCard(id); !slices.Equal(kinds, []string{keyring.SlotCardPIN}) {
		t.Errorf("the card has slots %v", kinds)
	}

	// A store that does not know of it yet leaves the card as it is.
	record, err := r.d.store.Vault(id)
	r.must(err)
	record.Slots = []vault.Slot{{Kind: keyring.SlotReader, Data: []byte("open")}}
	r.must(r.d.store.Update(record))
	r.insert()
	if kinds := r.slotsOnCard(id); !slices.Equal(kinds, []string{keyring.SlotCardPIN}) {
		t.Errorf("the card has slots %v", kinds)
	}
}
