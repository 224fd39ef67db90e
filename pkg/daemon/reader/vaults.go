package reader

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// Vaults answers step 612: the device's own vaults, and those that it might
// take over: by a passcode, or because their owner chose none.
func (d *Daemon) Vaults(_ context.Context, p session.Peer) ([]session.Vault, error) {
	records, err := readable(d.store, d.log)
	if err != nil {
		return nil, remote(err)
	}
	out := d.onCardOnly()
	for _, r := range records {
		if r.Owner != p.ID && !opens(r) {
			continue
		}
		v, err := d.describe(r, p.ID)
		if err != nil {
			return nil, remote(err)
		}
		out = append(out, v)
	}
	return out, nil
}

// onCardOnly describes the vault on the card that the store does not know, as one
// without an owner. Where it opens without a secret it is not offered if several devices
// are paired: it may be another one's than the one that asks. A device whose vault it
// is knows its id, and can claim it all the same.
func (d *Daemon) onCardOnly() []session.Vault {
	p := d.mirror.offered()
	if p == nil || !opens(p.Record) {
		return nil
	}
	if slot(p.Record, keyring.SlotReader) != nil {
		if peers, err := d.keys.Peers(); err != nil || len(peers) > 1 {
			return nil
		}
	}
	next, err := p.Adopted(nil)
	if err != nil {
		return nil
	}
	head := snapshot(next)
	return []session.Vault{{
		ID: p.Record.ID, Created: p.Record.Created, Label: p.Record.Label, OnCard: true,
		Slots: kinds(p.Record.Slots), Snapshots: 1, Head: &head,
	}}
}

func kinds(slots []vault.Slot) []session.Slot {
	var out []session.Slot
	for _, s := range slots {
		if !isCheck(s.Kind) {
			out = append(out, session.Slot{Kind: s.Kind})
		}
	}
	return out
}

// known is the record of a vault that the store has, or else the card.
func (d *Daemon) known(id session.ID) (vault.Record, error) {
	r, err := d.store.Vault(id)
	if errors.Is(err, vault.ErrNoVault) {
		if p := d.mirror.offered(); p != nil && session.ID(p.Record.ID) == id {
			return p.Record, nil
		}
	}
	return r, err
}

// takeUp puts the vault on the card into the store, where a device asks for it that has
// unlocked it, or that needs not. A card that is in the reader for a while leaves
// nothing there otherwise.
func (d *Daemon) takeUp(by session.Peer, id session.ID) error {
	p := d.mirror.offered()
	if p == nil || session.ID(p.Record.ID) != id || slot(p.Record, keyring.SlotReader) == nil && !d.unlockedBy(by, p.Record) {
		return nil
	}
	owned := *p
	owned.Record.Owner, owned.Record.Since = by.ID, owned.Snapshot.Seq+1
	if err := d.store.Adopt(owned); err != nil {
		return err
	}
	d.log.Info("took up the vault on the card", "vault", p.Record.ID, "seq", p.Snapshot.Seq)
	d.mirror.took(p)
	return nil
}

// readable lists the vaults of a store. A damaged record costs that vault and
// no other.
func readable(store vault.Store, log *slog.Logger) ([]vault.Record, error) {
	records, err := store.Vaults()
	if errors.Is(err, vault.ErrDamaged) {
		log.Error("some vaults are damaged", "error", err)
		err = nil
	}
	return records, err
}

func (d *Daemon) describe(r vault.Record, caller string) (session.Vault, error) {
	v := session.Vault{
		ID: r.ID, Mine: r.Owner == caller, Created: r.Created, Label: r.Label, OnCard: d.mirror.holds(r.ID),
	}
	if owner, err := d.keys.Peer(r.Owner); err == nil {
		v.Owner = owner.Name
	}
	v.Slots, v.Epoch, v.Behind = kinds(r.Slots), r.Epoch, r.Behind
	list, err := d.snapshots(r.ID)
	if err != nil || len(list) == 0 {
		return v, err
	}
	head := snapshot(list[0])
	v.Snapshots, v.Head = uint64(len(list)), &head
	if v.Mine {
		v.Damaged, err = d.headDamage(r.ID, list[0])
	}
	return v, err
}

// snapshots lists a vault's snapshots. A damaged record costs that snapshot and
// no other.
func (d *Daemon) snapshots(id vault.VaultID) ([]vault.SnapshotRecord, error) {
	list, err := d.store.Snapshots(id)
	if errors.Is(err, vault.ErrDamaged) {
		d.log.Error("some snapshots are damaged", "vault", id, "error", err)
		err = nil
	}
	return list, err
}

func snapshot(r vault.SnapshotRecord) session.Snapshot {
	return session.Snapshot{
		ID: r.Snapshot, Parent: r.Parent, Seq: r.Seq, Committed: r.Committed, Header: r.Header, Bytes: uint64(r.Bytes),
		CriticalOnly: len(r.Blobs) <= len(r.Critical), BooksOnly: r.BooksOnly(),
	}
}

func slot(r vault.Record, kind string) *vault.Slot {
	for i := range r.Slots {
		if r.Slots[i].Kind == kind {
			return &r.Slots[i]
		}
	}
	return nil
}

// CreateVault makes a vault of the caller's. Making the same one again changes
// nothing, so that an answer that got lost does no harm.
func (d *Daemon) CreateVault(_ context.Context, p session.Peer, v session.NewVault) error {
	for _, s := range v.Slots {
		if isCheck(s.Kind) {
			return fmt.Errorf("%w: a slot of kind %q is the reader's own", session.ErrBadRequest, s.Kind)
		}
	}
	r := vault.Record{ID: v.ID, Owner: p.ID, Created: d.now().UTC().Truncate(time.Second), Label: v.Label}
	for _, s := range v.Slots {
		r.Slots = append(r.Slots, vault.Slot{Kind: s.Kind, Data: s.Data})
	}
	d.records.Lock()
	defer d.records.Unlock()
	if have, err := d.store.Vault(r.ID); err == nil && have.Owner == p.ID {
		return nil
	} else if errors.Is(err, vault.ErrNoVault) {
		if err := d.mayCreate(p.ID); err != nil {
			return err
		}
		if r.Created, err = d.anew(r.ID); err != nil {
			return err
		}
	}
	return remote(d.store.Create(r))
}

// anew gives the time at which a vault is created that is not in the store. Where one of
// its id was deleted for wrong passcodes, what was counted is not held against the new
// one, and its time is another one: the old one's cards are known by that.
func (d *Daemon) anew(id vault.VaultID) (time.Time, error) {
	c, err := d.attempts.Look(id)
	if err != nil {
		return time.Time{}, err
	}
	if d.tooMany(c) {
		if err := d.attempts.Reset(id); err != nil {
			return time.Time{}, err
		}
	}
	created := d.now().UTC().Truncate(time.Second)
	for {
		wiped, err := d.attempts.Wiped(id, created)
		if err != nil || !wiped {
			return created, err
		}
		created = created.Add(time.Second)
	}
}

// ClaimVault makes a replacement device the owner of a vault (paragraph 38). The
// owner's consent is the passcode, or having chosen none and having paired the
// device; in that case a device that is here itself has not been replaced. What is on
// the card alone, because it was written at another reader, is taken up.
func (d *Daemon) ClaimVault(_ context.Context, p session.Peer, id session.ID) ([]session.Slot, error) {
	d.records.Lock()
	defer d.records.Unlock()
	if err := d.takeUp(p, id); err != nil {
		return nil, remote(err)
	}
	r, err := d.store.Vault(id)
	if err != nil {
		return nil, remote(err)
	}
	how, unlocked := d.entries.unlocked(p, id)
	s := slot(r, keyring.SlotReader)
	switch {
	case unlocked:
		if !d.unlockedBy(p, r) {
			return nil, fmt.Errorf("%w: what was entered opens nothing any more", session.ErrNotAllowed)
		}
		s = slot(r, how.kind)
	case s == nil:
		return nil, fmt.Errorf("%w: this vault opens with its passcode only", session.ErrNotAllowed)
	default:
		if err := d.succeeds(p, r); err != nil {
			return nil, err
		}
	}
	return []session.Slot{{Kind: s.Kind, Data: s.Data}}, d.hand(p, r)
}

// unlockedBy tells whether a session has opened a vault by what is still there.
func (d *Daemon) unlockedBy(p session.Peer, r vault.Record) bool {
	how, ok := d.entries.unlocked(p, r.ID)
	return ok && slot(r, how.kind) != nil && bytes.Equal(checkedBy(r, how.kind), how.check)
}

// checkedBy is what an entry for a kind of slot is checked by: the reader's own slot
// beside it, and where the card checks, the slot itself.
func checkedBy(r vault.Record, kind string) []byte {
	if s := slot(r, kind+checkSuffix); s != nil && len(s.Data) >= len(session.ID{}) {
		return s.Data[len(session.ID{}):]
	}
	if s := slot(r, kind); s != nil && !checked(kind) {
		return s.Data
	}
	return nil
}

// succeeds tells whether a device may take the place of a vault's owner.
func (d *Daemon) succeeds(p session.Peer, r vault.Record) error {
	if r.Owner != p.ID && d.presence.here(r.Owner) {
		return fmt.Errorf("%w: the device that owns this data is in range", session.ErrNotAllowed)
	}
	return nil
}

// hand makes a device the owner of a vault.
func (d *Daemon) hand(p session.Peer, r vault.Record) error {
	if r.Owner != p.ID {
		d.log.Warn("a device takes over the data of another", "from", r.Owner, "to", p.ID, "vault", r.ID)
		d.event("pairing", map[string]any{"state": "replaced", "from": r.Owner, "to": p.ID})
		r.Owner, r.Authorization, r.Voucher = p.ID, nil, nil // they speak for the device that was
		list, err := d.snapshots(r.ID)
		if err != nil {
			return remote(err)
		}
		if r.Since == 0 && len(list) > 0 { // the first one: whoever owned it since, cards from before may turn up
			r.Since = list[0].Seq + 1
		}
		if err := d.store.Update(r); err != nil {
			return remote(err)
		}
	}
	d.presence.tell(p.ID, session.Event{Kind: session.EventCard}) // the card may be this device's now
	return nil
}

// vaultOf is the vault of a device that was committed to last; zero for none.
func (d *Daemon) vaultOf(device string) vault.VaultID {
	records, err := readable(d.store, d.log)
	if err != nil {
		return vault.VaultID{}
	}
	var newest time.Time
	var found vault.VaultID
	for _, r := range records {
		if r.Owner != device {
			continue
		}
		list, err := d.snapshots(r.ID)
		if err == nil && len(list) > 0 && !list[0].Committed.Before(newest) {
			newest, found = list[0].Committed, r.ID
		}
	}
	return found
}
