package reader

import (
	"errors"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// maxDamage is how many damaged blobs a status and an event name.
const maxDamage = 64

// foundDamage takes note of blobs that are damaged or lost, says so, and lets the device
// know whose they are: it makes them anew.
func (d *Daemon) foundDamage(id vault.VaultID, found []vault.BlobID) {
	known, err := d.damagedIn(id)
	if err != nil {
		d.log.Error("cannot tell which damage is known", "vault", id, "error", err)
	}
	var fresh []vault.BlobID
	for _, b := range found {
		if !known[b] {
			fresh = append(fresh, b)
		}
	}
	if len(fresh) == 0 {
		return
	}
	if err := d.store.SetDamaged(id, fresh); err != nil {
		d.log.Error("cannot note that blobs are damaged", "vault", id, "error", err)
		return
	}
	r, err := d.store.Vault(id)
	if err != nil {
		d.log.Error("stored data are damaged", "vault", id, "blobs", len(fresh), "error", err)
		return
	}
	d.log.Error("stored data are damaged", "vault", id, "device", r.Owner, "blobs", texts(fresh))
	d.event("damage", map[string]any{"device": r.Owner, "vault": id.String(), "count": int64(len(fresh)), "blobs": texts(fresh)})
	d.tellDamage(r.Owner)
	d.bus.Refresh()
}

func texts(ids []vault.BlobID) []string {
	var out []string
	for _, b := range ids[:min(len(ids), maxDamage)] {
		out = append(out, b.String())
	}
	return out
}

// blame takes note of the damage that an error of the store tells of.
func (d *Daemon) blame(id vault.VaultID, err error) error {
	var blob *vault.BlobError
	if errors.As(err, &blob) && errors.Is(err, vault.ErrDamaged) {
		d.foundDamage(id, []vault.BlobID{blob.ID})
	}
	return err
}

// damagedIn is what is known to be damaged in a vault.
func (d *Daemon) damagedIn(id vault.VaultID) (map[vault.BlobID]bool, error) {
	list, err := d.store.Damaged(id)
	damaged := make(map[vault.BlobID]bool, len(list))
	for _, b := range list {
		damaged[b] = true
	}
	return damaged, err
}

// among picks those blobs that are in the set.
func among(set map[vault.BlobID]bool, blobs []vault.BlobID) []vault.BlobID {
	if len(set) == 0 {
		return nil
	}
	var out []vault.BlobID
	for _, b := range blobs {
		if set[b] {
			out = append(out, b)
		}
	}
	return out
}

// headDamage is what is damaged of a vault's newest snapshot: what its device can mend.
func (d *Daemon) headDamage(id vault.VaultID, head vault.SnapshotRecord) ([]session.ID, error) {
	damaged, err := d.damagedIn(id)
	if err != nil {
		return nil, err
	}
	var out []session.ID
	for _, b := range among(damaged, head.Blobs) {
		if len(out) == session.MaxIDs {
			break
		}
		out = append(out, b)
	}
	return out, nil
}

// damageOf counts what is damaged of a device's newest snapshot.
func (d *Daemon) damageOf(device string) (count uint64) {
	id := d.vaultOf(device)
	if id.IsZero() {
		return 0
	}
	list, err := d.snapshots(id)
	if err != nil || len(list) == 0 {
		return 0
	}
	damaged, err := d.headDamage(id, list[0])
	if err != nil {
		return 0
	}
	return uint64(len(damaged))
}

func (d *Daemon) tellDamage(device string) {
	if n := d.damageOf(device); n > 0 {
		d.presence.tell(device, session.Event{Kind: session.EventDamage, Blobs: n})
	}
}

// damageIn lists what is damaged in a vault for people.
func (d *Daemon) damageIn(r vault.Record) ([]busapi.BlobDamage, error) {
	damaged, err := d.damagedIn(r.ID)
	if err != nil || len(damaged) == 0 {
		return nil, err
	}
	list, err := d.snapshots(r.ID)
	if err != nil {
		return nil, err
	}
	concerned, newest := make(map[vault.BlobID]int64), make(map[vault.BlobID]bool)
	for i, s := range list {
		for _, b := range among(damaged, s.Blobs) {
			concerned[b]++
			newest[b] = newest[b] || i == 0
		}
	}
	var out []busapi.BlobDamage
	all, err := d.store.Damaged(r.ID)
	for _, b := range all {
		out = append(out, busapi.BlobDamage{
			Device: r.Owner, Vault: r.ID.String(), Blob: b.String(), Snapshots: concerned[b], Newest: newest[b],
		})
	}
	return out, err
}
