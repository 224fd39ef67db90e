package reader

import (
	"crypto/ed25519"
	"slices"

	"github.com/reprovision/reprovision/pkg/authorization"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// Anybody can write a vault's id on a card. What a card holds of a vault that is known
// here is taken only where the device that owns the vault here vouches for it.

// keyOf is the key of a paired device; nil for none.
func (d *Daemon) keyOf(device string) ed25519.PublicKey {
	p, err := d.keys.Peer(device)
	if err != nil {
		return nil
	}
	return p.PublicKey
}

func headOf(id vault.VaultID, s vault.SnapshotRecord) authorization.Head {
	h := authorization.Head{Vault: id, Snapshot: s.Snapshot, Parent: s.Parent, Seq: s.Seq}
	for _, c := range s.Critical {
		h.Critical = append(h.Critical, c)
	}
	return h
}

// slotsOf is what a device can vouch for of a record: not what is the reader's own.
func slotsOf(r vault.Record) authorization.Slots {
	s := authorization.Slots{Vault: r.ID, Epoch: r.Epoch}
	for _, slot := range r.Slots {
		if !isCheck(slot.Kind) {
			s.Slots = append(s.Slots, authorization.Slot(slot))
		}
	}
	return s
}

// learn takes from a card's record what the owner vouches for and what is newer than
// what is known here: the key slots, and whose card it is.
func (v *visit) learn(from vault.Record) (vault.Record, error) {
	v.records.Lock()
	defer v.records.Unlock()
	r, err := v.store.Vault(from.ID)
	if err != nil {
		return r, err
	}
	owner := v.keyOf(r.Owner)
	if knows(r.Authorization, from.Authorization, owner, r.ID) {
		r.Authorization = from.Authorization
		if err := v.store.Update(r); err != nil {
			return r, err
		}
	}
	if from.Epoch <= r.Epoch || !slotsOf(from).VouchedBy(owner, from.Voucher) {
		return r, nil
	}
	r.Slots, r.Epoch, r.Voucher, r.Behind = withChecks(from.Slots, r.Slots), from.Epoch, from.Voucher, true
	// What is stored opens with the old slots until the device has it wrapped: only then
	// is it of use that they leave no trace, and the store is written anew.
	if err := v.store.Update(r); err != nil {
		return r, err
	}
	v.log.Info("took up key slots that were set at another reader", "vault", r.ID, "epoch", r.Epoch)
	return r, nil
}

// knows tells whether a card brings an authorization record that is newer than the one
// that is here, and the owner's.
func knows(here, from []byte, owner ed25519.PublicKey, id vault.VaultID) bool {
	there, err := authorization.ParseRecord(from)
	if err != nil || !there.SignedBy(owner) || there.Vault != id {
		return false
	}
	old, err := authorization.ParseRecord(here)
	return err != nil || there.Created.After(old.Created)
}

// withChecks keeps this reader's own checks where they belong to the slots that came:
// one from a card would let its writer in by a passcode of theirs.
func withChecks(came, here []vault.Slot) []vault.Slot {
	var out []vault.Slot
	for _, s := range came {
		if !isCheck(s.Kind) {
			out = append(out, s)
			continue
		}
		own := slot(vault.Record{Slots: here}, s.Kind)
		if tagged := len(session.ID{}); own != nil && len(own.Data) >= tagged && len(s.Data) >= tagged &&
			slices.Equal(own.Data[:tagged], s.Data[:tagged]) {
			out = append(out, *own)
		}
	}
	return out
}

// before tells whether a card may hold what an owner before saved last: newer than what
// the device found that took the vault over, and not stored here. The vault's passing that
// generation by makes it no older.
func before(r vault.Record, p vault.Portable, list []vault.SnapshotRecord) bool {
	return r.Since != 0 && p.Snapshot.Seq >= r.Since &&
		!slices.ContainsFunc(list, func(s vault.SnapshotRecord) bool { return s.Snapshot == p.Snapshot.Snapshot })
}

// foreign reports a card that has the id of a vault, and what its owner knows nothing of.
func (v *visit) foreign(p vault.Portable, generation uint64) {
	v.log.Error("the card holds a snapshot that the vault's owner does not vouch for", "vault", v.on, "seq", p.Snapshot.Seq)
	v.on = vault.VaultID{}
	v.state = session.CardState{
		Status: session.CardOtherVault, Generation: generation,
		Detail: "the card names this device's data, but holds a snapshot that the device does not vouch for; nothing of it is taken, and it is not written",
	}
}
