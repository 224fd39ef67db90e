package reader

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/card/virtual"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
)

// TestCardAloneOpens carries a card to a reader that knows nothing, because the owner's is
// gone: with the recovery code or the passcode, and not without, a new device gets what
// the card holds.
func TestCardAloneOpens(t *testing.T) {
	for kind, secret := range map[string]string{keyring.SlotRecovery: "CODE", keyring.SlotPasscode: "secret"} {
		t.Run(kind, func(t *testing.T) {
			card := cardAt(filepath.Join(t.TempDir(), "card.img"), 64<<10)
			home, fresh := newRigWith(t, card), newRigWith(t, card)
			o := home.own("phone", 1)
			o.set(keyring.SlotRecovery, "CODE")
			o.set(keyring.SlotPasscode, "secret")
			o.save(2)
			away := *o
			away.rig = fresh
			fresh.wantCard(fresh.insert(), session.CardOtherVault)
			p := fresh.stranger(7)
			fresh.pair("another") // that several are paired makes no difference
			offer := fresh.vaults(p)[o.id]
			if offer.Mine || !offer.OnCard || offer.Head == nil || len(offer.Slots) != 2 || offer.Slots[0].Data != nil {
				t.Fatalf("the device is told of %+v", offer)
			}
			_, err := fresh.d.ClaimVault(t.Context(), p, o.id)
			fresh.want(err, session.ErrNoVault)
			_, err = away.enter(p, kind, "wrong")
			fresh.want(err, session.ErrWrongPasscode)
			_, err = fresh.d.ClaimVault(t.Context(), p, o.id)
			fresh.want(err, session.ErrNoVault)
			if records, err := fresh.d.store.Vaults(); err != nil || len(records) != 0 {
				t.Fatalf("the reader keeps %+v, %v", records, err)
			}
			if kind == keyring.SlotPasscode {
				fresh.wrongs(o.id, 1)
				_, err = away.enter(p, kind, secret)
				fresh.want(err, session.ErrLockedOut) // too early
				fresh.pass(time.Minute)
			}
			key, err := away.enter(p, kind, secret)
			fresh.must(err)
			other := p
			other.Session = 8
			_, err = fresh.d.ClaimVault(t.Context(), other, o.id)
			fresh.want(err, session.ErrNoVault)
			slots, err := fresh.d.ClaimVault(t.Context(), p, o.id)
			fresh.must(err)
			if len(slots) != 1 || slots[0].Kind != kind {
				t.Fatalf("slots %+v", slots)
			}
			got, err := key.Open(o.id, slots[0].Data)
			if err != nil || len(got.Keys) != 3 {
				t.Errorf("%d keys, %v", len(got.Keys), err)
			}
			if v := fresh.vaults(p)[o.id]; !v.Mine || v.Head == nil || !v.Head.CriticalOnly {
				t.Errorf("the device is told of %+v", v)
			}
		})
	}
}

// TestCardAndPINAlone is the same with the card's PIN in the passcode's place.
func TestCardAndPINAlone(t *testing.T) {
	home, slot := newTokenRig(t, virtual.PIV{})
	phone, pin := home.pair("phone"), []byte(virtual.DefaultPIN)
	id := home.create(phone, 1, keyring.SlotCardPIN)
	home.initCard()
	home.wantCard(home.backUp(phone, id, blob(1, 100)), session.CardOK)
	made, err := home.d.VerifyPIN(t.Context(), phone, id, pin)
	home.must(err)
	_, err = home.d.ChangeSlots(t.Context(), phone, home.pinSlot(id, made))
	home.must(err)

	fresh := newRig(t)
	fresh.d.mirror.reader = slot
	fresh.wantCard(fresh.insert(), session.CardOtherVault)
	p := fresh.stranger(7)
	if v := fresh.vaults(p)[id]; v.Mine || len(v.Slots) != 1 {
		t.Fatalf("the device is told of %+v", v)
	}
	_, err = fresh.d.VerifyPIN(t.Context(), p, id, []byte("999999"))
	if wrong, ok := errors.AsType[*session.WrongPasscode](err); !ok || wrong.Left != 2 {
		t.Fatalf("got %v", err)
	}
	_, err = fresh.d.ClaimVault(t.Context(), p, id)
	fresh.want(err, session.ErrNoVault)
	secret, err := fresh.d.VerifyPIN(t.Context(), p, id, pin)
	fresh.must(err)
	slots, err := fresh.d.ClaimVault(t.Context(), p, id)
	fresh.must(err)
	if string(secret) != string(made) || len(slots) != 1 || slots[0].Kind != keyring.SlotCardPIN {
		t.Errorf("slots %+v", slots)
	}
}
