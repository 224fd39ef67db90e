package reader

import (
	"bytes"
	"github.com/reprovision/reprovision/pkg/authorization"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// forged puts a card into home's reader that somebody else wrote: it has the id of
// home's vault, a generation that is far ahead, and slots of theirs.
func forged(t *testing.T, epoch uint64) (home *rig, phone session.Peer, id vault.VaultID) {
	t.Helper()
	card := cardAt(filepath.Join(t.TempDir(), "card.img"), 64<<10)
	home, theirs := newRigWith(t, card), newRigWith(t, card)
	phone = home.pair("phone")
	id = home.create(phone, 1, keyring.SlotCardPIN)
	home.backUp(phone, id, blob(1, 10))

	thief := theirs.pair("thief")
	theirs.create(thief, 1)
	theirs.initCard()
	_, err := theirs.d.Put(t.Context(), thief, id, sequence(nil, blob(9, 10)))
	theirs.must(err)
	_, err = theirs.d.ChangeSlots(t.Context(), thief, session.SlotChange{
		Vault: id, Epoch: epoch, Slots: []session.NewSlot{{Slot: session.Slot{Kind: keyring.SlotReader, Data: []byte("theirs")}}},
	})
	theirs.must(err)
	c := theirs.next(id, blob(9, 10))
	c.Seq = 1000
	state, err := theirs.d.Commit(t.Context(), thief, c)
	theirs.must(err)
	theirs.wantCard(state, session.CardOK)
	return home, phone, id
}

// TestForgedCard takes nothing of such a card, and says so.
func TestForgedCard(t *testing.T) {
	for _, epoch := range []uint64{0, 7} {
		home, phone, id := forged(t, epoch)
		before, err := home.d.store.Vault(id)
		home.must(err)
		home.wantCard(home.insert(), session.CardOtherVault)
		after, err := home.d.store.Vault(id)
		home.must(err)
		if !reflect.DeepEqual(before, after) {
			t.Errorf("the record was\n%+v and is\n%+v", before, after)
		}
		if got := home.vaults(phone)[id]; got.Head.Seq != 1 {
			t.Errorf("the head is generation %d", got.Head.Seq)
		}
		home.wantCard(home.backUp(phone, id, blob(2, 10)), session.CardOtherVault)
		if got := home.vaults(phone)[id]; got.Head.Seq != 2 {
			t.Errorf("the next backup is generation %d", got.Head.Seq)
		}
	}
}

// vouchedSlots is a change of slots as a phone makes it.
func (r *rig) vouchedSlots(p session.Peer, id vault.VaultID, epoch uint64, slots ...session.NewSlot) session.SlotChange {
	r.Helper()
	c := session.SlotChange{Vault: id, Epoch: epoch, Slots: slots}
	v := authorization.Slots{Vault: id, Epoch: epoch}
	for _, s := range slots {
		v.Slots = append(v.Slots, authorization.Slot(s.Slot))
	}
	var err error
	c.Voucher, err = v.Vouch(r.ids[p.ID])
	r.must(err)
	return c
}

func newSlot(kind, data string) session.NewSlot {
	return session.NewSlot{Slot: session.Slot{Kind: kind, Data: []byte(data)}}
}

// TestSlotEpochs carries a card to a second reader and back: slots that the owner set
// elsewhere are taken, older ones never come back, and the owner is told that what lies
// here is not wrapped with their key.
func TestSlotEpochs(t *testing.T) {
	home, away, phone, id := twoReaders(t)
	for _, r := range []*rig{home, away} {
		_, err := r.d.ChangeSlots(t.Context(), phone, r.vouchedSlots(phone, id, 1, newSlot(keyring.SlotReader, "the slot from before")))
		r.must(err)
	}
	_, err := away.d.ChangeSlots(t.Context(), phone, away.vouchedSlots(phone, id, 2, newSlot(keyring.SlotCardPIN, "two")))
	away.must(err)
	if v := home.vaults(phone)[id]; v.Epoch != 1 || v.Behind {
		t.Fatalf("before the card came: %+v", v)
	}
	home.wantCard(home.insert(), session.CardOK)
	if v := home.vaults(phone)[id]; v.Epoch != 2 || !v.Behind || len(v.Slots) != 1 || v.Slots[0].Kind != keyring.SlotCardPIN {
		t.Fatalf("after it came: %+v", v)
	}
	_, err = home.d.ChangeSlots(t.Context(), phone, home.vouchedSlots(phone, id, 1, newSlot(keyring.SlotReader, "one")))
	home.want(err, session.ErrStale)
	bad := home.vouchedSlots(phone, id, 3, newSlot(keyring.SlotReader, "three"))
	bad.Epoch = 4
	_, err = home.d.ChangeSlots(t.Context(), phone, bad)
	home.want(err, session.ErrBadRequest)

	// The device brings up to date what lies here.
	change := home.vouchedSlots(phone, id, 2, newSlot(keyring.SlotCardPIN, "two"))
	change.Wrap = bytes.Repeat([]byte{1}, 32)
	_, err = home.d.ChangeSlots(t.Context(), phone, change)
	home.must(err)
	if v := home.vaults(phone)[id]; v.Behind {
		t.Errorf("after the rotation: %+v", v)
	}
	raw, err := os.ReadFile(filepath.Join(home.d.cfg.StateDir, "vault.db"))
	home.must(err)
	if bytes.Contains(raw, []byte("the slot from before")) {
		t.Error("the slot from before is in the store's file")
	}
}

// TestForgedSlots puts slots on the owner's own card, with a later epoch: the store keeps
// its own, and the card gets them back.
func TestForgedSlots(t *testing.T) {
	r := newRig(t)
	phone := r.pair("phone")
	id := r.create(phone, 1, keyring.SlotCardPIN)
	r.initCard()
	r.wantCard(r.backUp(phone, id, blob(1, 10)), session.CardOK)
	record, err := r.d.store.Vault(id)
	r.must(err)
	theirs := record
	theirs.Epoch, theirs.Slots = 9, []vault.Slot{{Kind: keyring.SlotReader, Data: []byte("theirs")}}
	r.must(r.d.store.Update(theirs))
	r.d.mirror.sync(t.Context(), id)
	if kinds := r.slotsOnCard(id); !slices.Equal(kinds, []string{keyring.SlotReader}) {
		t.Fatalf("the card has %v", kinds)
	}
	r.must(r.d.store.Update(record))
	r.wantCard(r.insert(), session.CardOK)
	if got, err := r.d.store.Vault(id); err != nil || !reflect.DeepEqual(got, record) {
		t.Errorf("the record is %+v, %v", got, err)
	}
	if kinds := r.slotsOnCard(id); !slices.Equal(kinds, []string{keyring.SlotCardPIN}) {
		t.Errorf("the card has %v", kinds)
	}
}

// TestForeignCheck is a passcode that somebody else registered, on a card whose slots
// the owner made: it is not taken.
func TestForeignCheck(t *testing.T) {
	tagged := func(tag byte, check string) vault.Slot {
		return vault.Slot{Kind: keyring.SlotPasscode + checkSuffix, Data: append(bytes.Repeat([]byte{tag}, 16), check...)}
	}
	here := []vault.Slot{{Kind: keyring.SlotPasscode}, tagged(1, "ours")}
	same := withChecks([]vault.Slot{{Kind: keyring.SlotPasscode}, tagged(1, "theirs")}, here)
	if len(same) != 2 || !reflect.DeepEqual(same[1], here[1]) {
		t.Errorf("of the same registration: %v", same)
	}
	if other := withChecks([]vault.Slot{{Kind: keyring.SlotPasscode}, tagged(2, "theirs")}, here); len(other) != 1 {
		t.Errorf("of another registration: %v", other)
	}
}

// TestCardFromBeforeATakeOver brings back a card on which the owner before has saved more,
// at another reader, than the device found that took the vault over: it is not written,
// however far that device gets, until the owner of the reader has it prepared.
func TestCardFromBeforeATakeOver(t *testing.T) {
	home, _, phone, id := twoReaders(t) // the card has generation 2, the store at home 1
	fresh := home.pair("new phone")
	path := home.d.cfg.Card.Path
	held, err := os.ReadFile(path)
	home.must(err)
	home.must(os.Rename(path, path+".away"))
	_, err = home.d.ClaimVault(t.Context(), fresh, id)
	home.must(err)
	other := home.next(id) // than the other generation 2
	other.Snapshot[15] ^= 1
	home.vouch(fresh, &other)
	_, err = home.d.Commit(t.Context(), fresh, other)
	home.must(err)
	for n := byte(10); n < 13; n++ {
		home.backUp(fresh, id, blob(n, 10))
	}
	home.must(os.Rename(path+".away", path))
	for n := range byte(2) {
		home.wantCard(home.insert(), session.CardOtherVault)
		home.wantCard(home.backUp(fresh, id, blob(20+n, 10)), session.CardOtherVault)
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, held) {
			t.Fatalf("the card was written: %v", err)
		}
		home.restart()
	}
	if v := home.vaults(fresh)[id]; !v.Mine || v.Head.Seq != 7 || home.vaults(phone)[id].Mine {
		t.Errorf("the vault: %+v", v)
	}
	home.must(os.Remove(path))
	home.initCard()
	home.wantCard(home.insert(), session.CardOK)
	home.wantCard(home.backUp(fresh, id, blob(30, 10)), session.CardOK)
}
