package reader

import (
	"errors"
	"slices"

	"github.com/reprovision/reprovision/pkg/vault"
)

// heal has the store take back from the card what is known to be damaged in it.
func (v *visit) heal(record vault.Record) error {
	damaged, err := v.store.Damaged(record.ID)
	if err != nil || len(damaged) == 0 {
		return err
	}
	return v.healFrom(record, func(b vault.BlobID) bool { return slices.Contains(damaged, b) })
}

// healFor does that when something turns out to be damaged that was to go on the card, and
// tells whether it is whole now.
func (v *visit) healFor(id vault.VaultID, failed error) bool {
	var blob *vault.BlobError
	if !errors.As(failed, &blob) || !errors.Is(failed, vault.ErrDamaged) {
		return false
	}
	_ = v.blame(id, failed)
	record, err := v.store.Vault(id)
	if err == nil {
		err = v.healFrom(record, func(b vault.BlobID) bool { return b == blob.ID })
	}
	if err == nil {
		_, err = v.store.Get(id, blob.ID)
	}
	return err == nil
}

// healFrom takes blobs from the card where that has the same key slots: below others, what
// it holds may open with a key that was replaced, and must not come back.
func (v *visit) healFrom(record vault.Record, wanted func(vault.BlobID) bool) error {
	if v.copies.Record.ID != record.ID || !slices.EqualFunc(v.copies.Record.Slots, record.Slots, equalSlots) {
		return nil
	}
	var copies []vault.StoredBlob
	for _, b := range v.copies.Blobs {
		if wanted(b.ID) {
			copies = append(copies, b)
		}
	}
	if len(copies) == 0 {
		return nil
	}
	healed, err := v.store.Heal(record.ID, copies)
	if len(healed) > 0 {
		v.healed(record.ID, healed)
	}
	return err
}

// healedBlobs tells that damage is undone.
func (d *Daemon) healedBlobs(id vault.VaultID, blobs []vault.BlobID) {
	d.log.Info("stored data were healed from the card", "vault", id, "blobs", texts(blobs))
	d.event("damage", map[string]any{"state": "healed", "device": d.ownerOf(id), "vault": id.String(), "count": int64(len(blobs)), "blobs": texts(blobs)})
	d.bus.Refresh()
}

// ownerOf is the device that owns a vault; "" if that is not known.
func (d *Daemon) ownerOf(id vault.VaultID) string {
	r, err := d.store.Vault(id)
	if err != nil {
		return ""
	}
	return r.Owner
}

// mended has the card looked at again, if the store was found damaged when it was to be
// written: the device has sent something.
func (m *mirror) mended() {
	m.mu.Lock()
	again := m.seen.damaged
	m.mu.Unlock()
	if again {
		m.rouse()
	}
}
