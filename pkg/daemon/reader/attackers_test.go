package reader

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// contents is all that the store and the card hold of a vault, to be compared.
func (o *owned) contents() string {
	o.Helper()
	record, err := o.d.store.Vault(o.id)
	o.must(err)
	list, err := o.d.store.Snapshots(o.id)
	o.must(err)
	out := fmt.Sprintf("%+v\n%+v\n", record, list)
	for _, s := range list {
		for _, b := range s.Blobs {
			sealed, err := o.d.store.Get(o.id, b)
			o.must(err)
			out += fmt.Sprintf("%x\n", sealed)
		}
	}
	p, err := o.d.mirror.read(o.Context(), o.id)
	o.must(err)
	return out + fmt.Sprintf("%+v", p)
}

// attempt is one call of somebody who may not make it, and what it is refused with.
type attempt struct {
	what  string
	do    func(o *owned, p session.Peer) error
	wants []error
}

// byStranger is what a device tries that is paired, and has nothing to do with the data.
func byStranger() []attempt {
	no := []error{session.ErrNotAllowed}
	at := func(o *owned, kind string) session.Entry { return session.Entry{Vault: o.id, Kind: kind} }
	return []attempt{
		{"read the list", func(o *owned, p session.Peer) error {
			_, err := o.d.Snapshots(o.Context(), p, session.SnapshotQuery{Vault: o.id})
			return err
		}, no},
		{"read blobs", func(o *owned, p session.Peer) error {
			return o.d.Get(o.Context(), p, session.BlobQuery{Vault: o.id, IDs: []session.ID{{1, 2}}}, func(session.Blob) error { return nil })
		}, no},
		{"read blobs from the card", func(o *owned, p session.Peer) error {
			return o.d.Get(o.Context(), p, session.BlobQuery{Vault: o.id, IDs: []session.ID{{1, 2}}, FromCard: true}, func(session.Blob) error { return nil })
		}, no},
		{"ask what is there", func(o *owned, p session.Peer) error {
			_, err := o.d.Missing(o.Context(), p, o.id, []session.ID{{1, 2}})
			return err
		}, no},
		{"store", func(o *owned, p session.Peer) error {
			_, err := o.d.Put(o.Context(), p, o.id, sequence(nil, blob(9, 9)))
			return err
		}, no},
		{"commit", func(o *owned, p session.Peer) error {
			_, err := o.d.Commit(o.Context(), p, o.next(o.id))
			return err
		}, no},
		{"commit anew", func(o *owned, p session.Peer) error {
			c := o.next(o.id)
			c.Anew, c.Critical = true, nil
			_, err := o.d.Commit(o.Context(), p, c)
			return err
		}, no},
		{"make the vault again", func(o *owned, p session.Peer) error {
			return o.d.CreateVault(o.Context(), p, session.NewVault{ID: o.id})
		}, []error{session.ErrExists}},
		{"claim", func(o *owned, p session.Peer) error {
			_, err := o.d.ClaimVault(o.Context(), p, o.id)
			return err
		}, no},
		{"take the slots away", func(o *owned, p session.Peer) error {
			_, err := o.d.ChangeSlots(o.Context(), p, session.SlotChange{Vault: o.id, Epoch: 99})
			return err
		}, no},
		{"register a passcode", func(o *owned, p session.Peer) error {
			_, err := o.d.Register(o.Context(), p, at(o, keyring.SlotPasscode), make([]byte, 32))
			return err
		}, no},
		{"enter garbage", func(o *owned, p session.Peer) error {
			_, err := o.d.Unlock(o.Context(), p, at(o, keyring.SlotRecovery), bytes.Repeat([]byte{0xff}, 96))
			return errors.Join(err, o.d.Prove(o.Context(), p, at(o, keyring.SlotRecovery), make([]byte, 64)))
		}, []error{session.ErrBadRequest, session.ErrWrongPasscode}},
		{"prove without an entry", func(o *owned, p session.Peer) error {
			return o.d.Prove(o.Context(), p, at(o, keyring.SlotPasscode), make([]byte, 64))
		}, []error{session.ErrBadRequest}},
		{"enter for the reader's own slot", func(o *owned, p session.Peer) error {
			_, err := o.d.Unlock(o.Context(), p, at(o, keyring.SlotPasscode+checkSuffix), make([]byte, 96))
			return err
		}, []error{session.ErrNoVault}},
		{"use the card's PIN", func(o *owned, p session.Peer) error {
			_, err := o.d.VerifyPIN(o.Context(), p, o.id, []byte("123456"))
			return err
		}, no},
		{"have the card prove itself", func(o *owned, p session.Peer) error {
			_, err := o.d.Attest(o.Context(), p, o.id, make([]byte, 32))
			return err
		}, no},
		{"authorize a card", func(o *owned, p session.Peer) error {
			_, err := o.d.Authorize(o.Context(), p, o.id, []byte("record"))
			return err
		}, no},
	}
}

// byOwner is what the owner's device does when it is broken, rolled back, or not honest.
func byOwner() []attempt {
	change := func(o *owned, edit func(*session.SlotChange)) error {
		c := o.change(nil)
		c.Epoch = 5
		edit(&c)
		_, err := o.d.ChangeSlots(o.Context(), o.peer, c)
		return err
	}
	commit := func(o *owned, edit func(*session.Commit)) error {
		c := o.next(o.id)
		edit(&c)
		_, err := o.d.Commit(o.Context(), o.peer, c)
		return err
	}
	bad, stale := []error{session.ErrBadRequest}, []error{session.ErrStale}
	return []attempt{
		{"set older slots", func(o *owned, _ session.Peer) error {
			return change(o, func(c *session.SlotChange) { c.Epoch = 0 })
		}, stale},
		{"set slots with another's voucher", func(o *owned, _ session.Peer) error {
			return change(o, func(c *session.SlotChange) { c.Voucher = make([]byte, 64) })
		}, bad},
		{"set the reader's own slot", func(o *owned, _ session.Peer) error {
			return change(o, func(c *session.SlotChange) {
				c.Slots = append(c.Slots, session.NewSlot{Slot: session.Slot{Kind: keyring.SlotPasscode + checkSuffix}})
			})
		}, bad},
		{"set a passcode that was never registered", func(o *owned, _ session.Peer) error {
			return change(o, func(c *session.SlotChange) { c.Slots[0].Tag = session.ID{9} })
		}, bad},
		{"open the vault beside its passcode", func(o *owned, _ session.Peer) error {
			return change(o, func(c *session.SlotChange) {
				c.Slots = append(c.Slots, session.NewSlot{Slot: session.Slot{Kind: keyring.SlotReader, Data: []byte("open")}})
			})
		}, bad},
		{"rewrap with a key that is none of the vault's", func(o *owned, _ session.Peer) error {
			return change(o, func(c *session.SlotChange) { c.Wrap = bytes.Repeat([]byte{3}, 32) })
		}, bad},
		{"commit an older generation", func(o *owned, _ session.Peer) error {
			return commit(o, func(c *session.Commit) { c.Seq = 1 })
		}, stale},
		{"commit on top of another head", func(o *owned, _ session.Peer) error {
			return commit(o, func(c *session.Commit) { c.Parent = session.ID{9} })
		}, stale},
		{"commit the last generation that there is", func(o *owned, _ session.Peer) error {
			return commit(o, func(c *session.Commit) { c.Seq = 1<<64 - 1 })
		}, bad},
		{"commit what is not there", func(o *owned, _ session.Peer) error {
			return commit(o, func(c *session.Commit) { c.Add = []session.ID{{77}} })
		}, []error{session.ErrNoData}},
		{"commit anew, and drop", func(o *owned, _ session.Peer) error {
			return commit(o, func(c *session.Commit) { c.Anew, c.Drop = true, []session.ID{{1, 2}} })
		}, bad},
		{"store other bytes under an id", func(o *owned, _ session.Peer) error {
			_, err := o.d.Put(o.Context(), o.peer, o.id, sequence(nil, session.Blob{ID: session.ID{1, 2}, Data: make([]byte, vault.SealOverhead)}))
			return err
		}, []error{session.ErrConflict}},
	}
}

// TestAttackers makes each attempt: all are refused, and nothing that is stored changes.
func TestAttackers(t *testing.T) {
	r := newRig(t)
	o := r.own("phone", 1)
	o.set(keyring.SlotRecovery, "CODE")
	o.set(keyring.SlotPasscode, "secret")
	o.save(2)
	c := o.change(nil)
	c.Epoch = 5
	_, err := r.d.ChangeSlots(t.Context(), o.peer, c)
	r.must(err)
	stranger := r.stranger(7)
	before := o.contents()
	for who, attempts := range map[string][]attempt{"a paired stranger": byStranger(), "the owner's device": byOwner()} {
		for _, a := range attempts {
			err := a.do(o, stranger)
			refused := false
			for _, want := range a.wants {
				refused = refused || errors.Is(err, want)
			}
			if !refused {
				t.Errorf("%s, to %s: %v, want %v", who, a.what, err, a.wants)
			}
			if o.contents() != before {
				t.Fatalf("%s, to %s: what is stored has changed", who, a.what)
			}
			t.Logf("| %s | to %s | %v |", who, a.what, err)
		}
	}
}
