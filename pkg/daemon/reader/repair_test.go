package reader

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// wear changes a byte of the card that is the first of a run of the same ones.
func (r *rig) wear(n byte) {
	r.Helper()
	path := r.d.cfg.Card.Path
	image, err := os.ReadFile(path)
	r.must(err)
	at := bytes.Index(image, bytes.Repeat([]byte{n}, 64))
	if at < 0 {
		r.Fatal("the bytes are not on the card")
	}
	image[at+20] ^= 0x10
	r.must(os.WriteFile(path, image, 0o600))
}

// worn has a card of which both versions share a byte that is damaged.
func worn(t *testing.T) (r *rig, phone session.Peer, id vault.VaultID) {
	t.Helper()
	r = newRig(t)
	phone = r.pair("phone")
	id = r.create(phone, 1)
	r.initCard()
	r.wantCard(r.backUp(phone, id, blob(1, 1000)), session.CardOK)
	r.wantCard(r.backUp(phone, id, blob(2, 10)), session.CardOK)
	r.wear(1)
	return r, phone, id
}

// repaired checks that the card has the newest data again, and goes on.
func (r *rig) repaired(phone session.Peer, id vault.VaultID) {
	r.Helper()
	r.wantCard(r.insert(), session.CardOK)
	if got := r.onCard(id); got.Seq != 2 || !r.d.mirror.holds(id) {
		r.Fatalf("the card holds generation %d", got.Seq)
	}
	r.wantCard(r.backUp(phone, id, blob(3, 10)), session.CardOK)
}

// TestWornCard puts in a card of which no version is whole: it is written anew from
// the store, which is said.
func TestWornCard(t *testing.T) {
	r, phone, id := worn(t)
	var told []session.CardState
	changed := r.d.mirror.changed
	r.d.mirror.changed = func(s session.CardState) {
		told = append(told, s)
		changed(s)
	}
	before := r.d.card()
	r.repaired(phone, id)
	if len(told) < 2 || told[0].Status != session.CardStale || told[1].Status != session.CardOK || told[1].Generation <= before.Generation {
		t.Errorf("told %+v", told)
	}
	if info := r.d.card(); before.Repaired != 0 || info.Repaired == 0 {
		t.Errorf("card %+v", info)
	}
	again, err := openLedger(filepath.Join(r.d.cfg.StateDir, "upkeep.json"))
	r.must(err)
	if mark, ok := again.card(r.d.card().Identity); !ok || mark.Vault != id.String() || mark.Repaired == 0 {
		t.Errorf("the ledger says %+v", mark)
	}
}

// TestCutRepair pulls the card at every write of a repair, and puts it in again.
func TestCutRepair(t *testing.T) {
	for _, torn := range []int{0, 7} {
		for at := 1; ; at++ {
			r, phone, id := worn(t)
			whole := r.d.mirror.reader
			pulled := &cutting{Reader: whole, at: at, torn: torn}
			r.d.mirror.reader = pulled
			r.insert()
			r.d.mirror.reader = whole
			r.repaired(phone, id)
			if !pulled.cut {
				break
			}
		}
	}
}

// TestCutFirstWrite pulls a new card at every write of its first version: it is
// written when it is back, though it does not say whose it is.
func TestCutFirstWrite(t *testing.T) {
	for _, torn := range []int{0, 7, 40} {
		for at := 1; ; at++ {
			r := newRig(t)
			phone, other := r.pair("phone"), r.pair("other")
			id := r.create(phone, 1)
			r.create(other, 2)
			r.initCard()
			whole := r.d.mirror.reader
			pulled := &cutting{Reader: whole, at: at, torn: torn}
			r.d.mirror.reader = pulled
			r.backUp(phone, id, blob(1, 1000))
			r.d.mirror.reader = whole
			r.wantCard(r.insert(), session.CardOK)
			if got := r.onCard(id); got.Seq != 1 {
				t.Fatalf("write %d: the card holds generation %d", at, got.Seq)
			}
			if !pulled.cut {
				break
			}
		}
	}
}

// TestWornCardOfOthers leaves alone a damaged card that this reader does not know,
// and one on which is what it does not have.
func TestWornCardOfOthers(t *testing.T) {
	unknown, _, _ := worn(t)
	stranger := newRigWith(t, unknown.d.cfg.Card)
	stranger.create(stranger.pair("watch"), 3)
	newer, away, phone, id := twoReaders(t)
	newer.wantCard(newer.insert(), session.CardOK)
	away.wantCard(away.insert(), session.CardOK)
	owner, err := away.d.store.Vault(id)
	away.must(err)
	away.wantCard(away.backUp(session.Peer{ID: owner.Owner}, id, blob(7, 500)), session.CardOK)
	away.wantCard(away.backUp(session.Peer{ID: owner.Owner}, id, blob(8, 10)), session.CardOK)
	away.wear(7)
	for name, r := range map[string]*rig{"unknown": stranger, "newer": newer} {
		path := r.d.cfg.Card.Path
		before, err := os.ReadFile(path)
		r.must(err)
		r.wantCard(r.insert(), session.CardError)
		after, err := os.ReadFile(path)
		r.must(err)
		if !bytes.Equal(before, after) {
			t.Errorf("%s: the card was written", name)
		}
	}
	newer.wantCard(newer.backUp(phone, id, blob(9, 10)), session.CardError)
	away.wantCard(away.insert(), session.CardOK)
}

// TestVerifyFindsALostVersion wears the newest version while the one before is whole: verify
// says which is which, and has the card brought up to date. When both are damaged it says so,
// too, and a card that was never written cannot be verified.
func TestVerifyFindsALostVersion(t *testing.T) {
	r := newRig(t)
	phone := r.pair("phone")
	id := r.create(phone, 1)
	r.initCard()
	if _, err := r.d.CardVerify(t.Context()); !errors.Is(err, busapi.ErrCard) {
		t.Errorf("a blank card: %v", err)
	}
	r.wantCard(r.backUp(phone, id, blob(1, 1000)), session.CardOK)
	r.wantCard(r.backUp(phone, id, blob(2, 1000)), session.CardOK)
	good, err := r.d.CardVerify(t.Context())
	r.must(err)
	if !good.Whole || good.Lost != 0 || good.Blobs != 2 || good.Bytes < 2000 || len(good.Versions) != 2 ||
		good.Versions[0].State != "whole" || good.Versions[1].State != "whole" {
		t.Errorf("a good card: %+v", good)
	}
	newest := r.d.card().Generation
	r.wear(2)
	drain(r.d.mirror.wake)
	bad, err := r.d.CardVerify(t.Context())
	r.must(err)
	if bad.Whole || bad.Lost != newest || bad.Blobs != 1 || !drain(r.d.mirror.wake) {
		t.Errorf("a lost version: %+v", bad)
	}
	for _, v := range bad.Versions {
		if lost := v.Generation == newest; lost == v.Newest || lost != (v.State == "damaged") {
			t.Errorf("version %+v", v)
		}
	}
	r.wantCard(r.insert(), session.CardOK)
	if again, err := r.d.CardVerify(t.Context()); err != nil || !again.Whole || again.Blobs != 2 {
		t.Errorf("after the repair: %+v, %v", again, err)
	}
	r.wear(1)
	r.wear(1)
	both, err := r.d.CardVerify(t.Context())
	if err != nil || both.Whole || both.Bytes != 0 || both.Lost == 0 {
		t.Errorf("nothing is whole: %+v, %v", both, err)
	}
}
