package reader

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/reprovision/reprovision/pkg/authorization"
	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/card/virtual"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// holder is a device with an identity, a vault with a snapshot, and what it
// pinned of its card.
type holder struct {
	*rig
	id    keyring.Identity
	peer  session.Peer
	vault vault.VaultID
	card  authorization.Card
}

func (r *rig) newHolder() *holder {
	r.Helper()
	k, err := keyring.Open(filepath.Join(r.TempDir(), "keyring"))
	r.must(err)
	id, err := k.Identity()
	r.must(err)
	p := keyring.NewPeer(id.Public(), "phone", "", r.d.now())
	r.must(r.d.keys.PutPeer(p))
	h := &holder{rig: r, id: id, peer: session.Peer{ID: p.ID, Key: id.Public(), Session: 1}}
	h.vault = r.create(h.peer, 1)
	return h
}

// prove asks the card and judges its answer by what was pinned.
func (h *holder) prove() (authorization.Card, error) {
	h.Helper()
	challenge, err := authorization.NewChallenge()
	h.must(err)
	a, err := h.d.Attest(h.Context(), h.peer, h.vault, challenge)
	if err != nil {
		return authorization.Card{}, err
	}
	key, err := authorization.ParseKey(a.Key)
	h.must(err)
	c := authorization.Card{Identity: a.Identity, Key: key}
	pinned := h.card
	if pinned.Identity == "" {
		pinned = c
	}
	owner := authorization.Owner{Device: h.id.Public(), Vault: h.vault, Card: pinned}
	return c, owner.Verify(challenge, authorization.Proof{Card: c, Record: a.Record, Signature: a.Signature})
}

// authorize has a record for the card put on it.
func (h *holder) authorize() {
	h.Helper()
	record, err := authorization.NewRecord(h.id, h.vault, h.card, h.d.now())
	h.must(err)
	_, err = h.d.Authorize(h.Context(), h.peer, h.vault, record)
	h.must(err)
}

// TestAttest has the owner's card prove itself: blank, written, pulled, and
// formatted anew.
func TestAttest(t *testing.T) {
	r, slot := newTokenRig(t, virtual.PIV{})
	h := r.newHolder()
	_, err := h.prove()
	r.want(err, session.ErrCard) // not looked at yet
	r.initCard()
	if info := r.d.card(); !info.CardKey || info.State != "blank" {
		t.Fatalf("the card is %+v", info)
	}
	h.card, err = h.prove()
	r.want(err, authorization.ErrNoRecord)
	h.authorize()
	r.wantCard(r.backUp(h.peer, h.vault, blob(1, 100)), session.CardOK)
	if state, _ := r.d.mirror.look(); state.Generation != 1 {
		t.Errorf("the record took a generation of its own: %+v", state)
	}
	_, err = h.prove()
	r.must(err)

	whole := slot.card
	slot.card = nil
	_, err = h.prove()
	r.want(err, session.ErrCard)
	slot.card = whole
	_, err = h.prove()
	r.must(err)

	_, err = r.d.CardInit(t.Context(), busapi.CardChoice{Force: true})
	r.must(err)
	again, err := h.prove()
	r.want(err, authorization.ErrNoRecord) // the key is the same, the store is not
	h.card = again
	h.authorize()
	_, err = h.prove()
	r.must(err)
	if got := r.onCard(h.vault); got.Seq != 1 {
		t.Errorf("the card holds generation %d", got.Seq)
	}
}

// TestCopiedCard copies every object of the owner's card to another one, with and
// without a key of its own.
func TestCopiedCard(t *testing.T) {
	for name, options := range map[string]virtual.PIV{"no key": {}, "a key": {CardKey: true}} {
		t.Run(name, func(t *testing.T) {
			r, slot := newTokenRig(t, virtual.PIV{})
			h := r.newHolder()
			r.initCard()
			h.card, _ = h.prove()
			h.authorize()
			r.wantCard(r.backUp(h.peer, h.vault, blob(1, 100)), session.CardOK)
			_, err := h.prove()
			r.must(err)
			forged := newToken(t, options)
			for tag, contents := range slot.card.Objects() {
				r.must(forged.SetObject(tag, contents))
			}
			slot.card = forged
			r.insert()
			if _, err = h.prove(); err == nil {
				t.Fatal("a copy passes for the card")
			}
			if !errors.Is(err, session.ErrCard) && !errors.Is(err, authorization.ErrOtherCard) && !errors.Is(err, authorization.ErrUnproven) {
				t.Errorf("the copy gives %v", err)
			}
		})
	}
}

// TestAuthorizeRefused hands over records that are not the device's for its vault.
func TestAuthorizeRefused(t *testing.T) {
	r := newRig(t)
	h := r.newHolder()
	r.initCard()
	c := authorization.Card{Identity: "file:1"}
	k, err := keyring.Open(filepath.Join(t.TempDir(), "keyring"))
	r.must(err)
	other, err := k.Identity()
	r.must(err)
	theirs, err := authorization.NewRecord(other, h.vault, c, r.d.now())
	r.must(err)
	elsewhere, err := authorization.NewRecord(h.id, vault.VaultID{9}, c, r.d.now())
	r.must(err)
	for name, record := range map[string][]byte{"junk": []byte("junk"), "none": nil, "another's": theirs, "another vault": elsewhere} {
		if _, err := r.d.Authorize(t.Context(), h.peer, h.vault, record); !errors.Is(err, session.ErrBadRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = r.d.Authorize(t.Context(), r.pair("tablet"), h.vault, theirs)
	r.want(err, session.ErrNotAllowed)
	_, err = r.d.Attest(t.Context(), r.pair("watch"), h.vault, make([]byte, 32))
	r.want(err, session.ErrNotAllowed)
}

// TestForeignCardKey prepares cards whose slot 9E is somebody else's.
func TestForeignCardKey(t *testing.T) {
	certificate := []byte{0x70, 0x03, 1, 2, 3, 0x71, 0x01, 0x00, 0xFE, 0x00}
	r, slot := newTokenRig(t, virtual.PIV{Objects: map[uint32][]byte{0x5FC101: certificate}})
	r.initCard()
	if got := slot.card.Objects()[0x5FC101]; string(got) != string(certificate) {
		t.Errorf("the certificate is %x", got)
	}
	if info := r.d.card(); info.CardKey {
		t.Errorf("the card is %+v", info)
	}
	used, theirs := newTokenRig(t, virtual.PIV{CardKey: true}) // a key on P-256: used as it is
	used.initCard()
	if info := used.d.card(); !info.CardKey {
		t.Errorf("the card is %+v", info)
	}
	if _, there := theirs.card.Objects()[0x5FC101]; there {
		t.Error("a certificate was made for somebody else's key")
	}
}
