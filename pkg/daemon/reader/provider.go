package reader

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// slotReader is the kind of key slot that opens a vault to whoever the reader is
// paired with; a vault has it only where the owner chose no passcode.
const slotReader = "reader"

// Paired finds a device by its key.
func (d *Daemon) Paired(key ed25519.PublicKey) (string, bool) {
	p, err := d.keys.Peer(keyring.PeerID(key))
	if err != nil || !p.PublicKey.Equal(key) {
		return "", false
	}
	return p.ID, true
}

// Connected takes note of a device that came into range.
func (d *Daemon) Connected(p session.Peer) {
	d.presence.enter(p.ID)
	d.event("link", map[string]any{"device": p.ID, "in_range": true})
	d.log.Info("device in range", "device", p.ID)
	d.bus.Refresh()
}

// Disconnected takes note of a device that went out of range.
func (d *Daemon) Disconnected(p session.Peer, reason error) {
	d.presence.leave(p.ID)
	fields := map[string]any{"device": p.ID, "in_range": false}
	if reason != nil {
		fields["reason"] = reason.Error()
	}
	d.event("link", fields)
	d.log.Info("device out of range", "device", p.ID, "reason", reason)
	d.bus.Refresh()
}

// Hello answers with the reader's name and the state of its card.
func (d *Daemon) Hello(_ context.Context, p session.Peer, theirs session.Hello) (session.Hello, error) {
	d.rename(p, theirs.Name)
	return session.Hello{Name: d.cfg.Name, Card: d.mirror.stateFor(d.vaultOf(p.ID))}, nil
}

// rename keeps the name that a device calls itself up to date.
func (d *Daemon) rename(p session.Peer, name string) {
	known, err := d.keys.Peer(p.ID)
	if err != nil || known.Name == name || name == "" {
		return
	}
	if err := d.keys.PutPeer(keyring.NewPeer(known.PublicKey, name, known.Address, known.Paired)); err != nil {
		d.log.Warn("cannot note a device's new name", "device", p.ID, "error", err)
	}
}

// Events tells a device of changes of the card, and that it was forgotten.
func (d *Daemon) Events(ctx context.Context, p session.Peer, send func(session.Event) error) error {
	events, stop := d.presence.listen(p.ID)
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-events:
			if e.Kind == session.EventCard {
				e.Card = d.mirror.stateFor(d.vaultOf(p.ID))
			}
			if err := send(e); err != nil {
				return err
			}
		}
	}
}

// Vaults answers step 612: the device's own vaults, and those that it might
// take over because their owner chose no passcode.
func (d *Daemon) Vaults(_ context.Context, p session.Peer) ([]session.Vault, error) {
	records, err := d.store.Vaults()
	if err != nil {
		return nil, remote(err)
	}
	var out []session.Vault
	for _, r := range records {
		if r.Owner != p.ID && slot(r, slotReader) == nil {
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

func (d *Daemon) describe(r vault.Record, caller string) (session.Vault, error) {
	v := session.Vault{
		ID: r.ID, Mine: r.Owner == caller, Created: r.Created, Label: r.Label, OnCard: d.mirror.holds(r.ID),
	}
	if owner, err := d.keys.Peer(r.Owner); err == nil {
		v.Owner = owner.Name
	}
	for _, s := range r.Slots {
		v.Slots = append(v.Slots, session.Slot{Kind: s.Kind})
	}
	list, err := d.snapshots(r.ID)
	if err != nil || len(list) == 0 {
		return v, err
	}
	head := snapshot(list[0])
	v.Snapshots, v.Head = uint64(len(list)), &head
	return v, nil
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
	r := vault.Record{ID: v.ID, Owner: p.ID, Created: d.now().UTC().Truncate(time.Second), Label: v.Label}
	for _, s := range v.Slots {
		r.Slots = append(r.Slots, vault.Slot{Kind: s.Kind, Data: s.Data})
	}
	err := d.store.Create(r)
	if errors.Is(err, vault.ErrExists) {
		if have, verr := d.store.Vault(r.ID); verr == nil && have.Owner == p.ID {
			return nil
		}
	}
	return remote(err)
}

// ClaimVault makes a replacement device the owner of a vault (paragraph 38). The
// owner's consent is having paired the device, and having chosen no passcode. A
// device that is here itself has not been replaced.
func (d *Daemon) ClaimVault(_ context.Context, p session.Peer, id session.ID) ([]session.Slot, error) {
	r, err := d.store.Vault(id)
	if err != nil {
		return nil, remote(err)
	}
	s := slot(r, slotReader)
	switch {
	case s == nil:
		return nil, fmt.Errorf("%w: this vault opens with its passcode only", session.ErrNotAllowed)
	case r.Owner != p.ID && d.presence.here(r.Owner):
		return nil, fmt.Errorf("%w: the device that owns this data is in range", session.ErrNotAllowed)
	}
	if r.Owner != p.ID {
		d.log.Warn("a device takes over the data of another", "from", r.Owner, "to", p.ID, "vault", r.ID)
		d.event("pairing", map[string]any{"state": "replaced", "from": r.Owner, "to": p.ID})
	}
	r.Owner = p.ID
	if err := d.store.Update(r); err != nil {
		return nil, remote(err)
	}
	d.presence.tell(p.ID, session.Event{Kind: session.EventCard}) // the card may be this device's now
	return []session.Slot{{Kind: s.Kind, Data: s.Data}}, nil
}

// mine finds a vault of the caller's.
func (d *Daemon) mine(p session.Peer, id session.ID) (vault.Record, error) {
	r, err := d.store.Vault(id)
	if err != nil {
		return r, remote(err)
	}
	if r.Owner != p.ID {
		return r, fmt.Errorf("%w: the vault belongs to another device", session.ErrNotAllowed)
	}
	return r, nil
}

// Snapshots lists what a vault holds, the newest first.
func (d *Daemon) Snapshots(_ context.Context, p session.Peer, q session.SnapshotQuery) ([]session.Snapshot, error) {
	if _, err := d.mine(p, q.Vault); err != nil {
		return nil, err
	}
	list, err := d.snapshots(q.Vault)
	if err != nil {
		return nil, remote(err)
	}
	var out []session.Snapshot
	for _, r := range list {
		if q.From != 0 && r.Seq > q.From {
			continue
		}
		if q.Limit > 0 && len(out) == q.Limit {
			break
		}
		out = append(out, snapshot(r))
	}
	return out, nil
}

// Missing tells which blobs the store does not have.
func (d *Daemon) Missing(_ context.Context, p session.Peer, id session.ID, ids []session.ID) ([]session.ID, error) {
	if _, err := d.mine(p, id); err != nil {
		return nil, err
	}
	missing, err := d.store.Missing(id, blobIDs(ids))
	if err != nil {
		return nil, remote(err)
	}
	out := make([]session.ID, len(missing))
	for i, m := range missing {
		out[i] = m
	}
	return out, nil
}

func blobIDs(ids []session.ID) []vault.BlobID {
	out := make([]vault.BlobID, len(ids))
	for i, id := range ids {
		out[i] = id
	}
	return out
}

// Blobs are stored in groups of about this many bytes, for every group costs a
// sync of the disk, and not in larger ones, for a cut costs what was not stored.
const groupBytes = 4 << 20

// Put stores what arrives, a group at a time.
func (d *Daemon) Put(_ context.Context, p session.Peer, id session.ID, blobs iter.Seq2[session.Blob, error]) (int, error) {
	if _, err := d.mine(p, id); err != nil {
		return 0, err
	}
	var group []vault.StoredBlob
	stored, bytes := 0, 0
	flush := func() error {
		err := d.store.Put(id, group)
		if err == nil {
			stored += len(group)
		}
		group, bytes = nil, 0
		return remote(err)
	}
	for b, err := range blobs {
		if err != nil {
			return stored, errors.Join(err, flush()) // what arrived whole need not come again
		}
		group = append(group, vault.StoredBlob{ID: b.ID, Sealed: b.Data})
		if bytes += len(b.Data); bytes >= groupBytes || len(group) == vault.MaxPutBlobs {
			if err := flush(); err != nil {
				return stored, err
			}
		}
	}
	return stored, flush()
}

// Commit makes a snapshot the newest, and brings the card up to date.
func (d *Daemon) Commit(ctx context.Context, p session.Peer, c session.Commit) (session.CardState, error) {
	if _, err := d.mine(p, c.Vault); err != nil {
		return session.CardState{}, err
	}
	err := d.store.Commit(c.Vault, vault.Commit{
		Vault: c.Vault, Snapshot: c.Snapshot, Parent: c.Parent, Seq: c.Seq, Header: c.Header,
		Add: blobIDs(c.Add), Drop: blobIDs(c.Drop), Critical: blobIDs(c.Critical),
	}, d.now().UTC())
	if err != nil {
		return session.CardState{}, remote(err)
	}
	d.event("backup", map[string]any{"device": p.ID, "snapshot": vault.SnapshotID(c.Snapshot).String(), "seq": int64(c.Seq)})
	return d.mirror.update(ctx, c.Vault), nil
}

// Get sends blobs, from the card alone if so asked.
func (d *Daemon) Get(ctx context.Context, p session.Peer, q session.BlobQuery, send func(session.Blob) error) error {
	if _, err := d.mine(p, q.Vault); err != nil {
		return err
	}
	get := func(id vault.BlobID) ([]byte, error) { return d.store.Get(q.Vault, id) }
	if q.FromCard {
		on, err := d.mirror.read(ctx, q.Vault)
		if err != nil {
			return err
		}
		get = func(id vault.BlobID) ([]byte, error) { return on.Blob(ctx, id) }
	}
	for _, id := range blobIDs(q.IDs) {
		data, err := get(id)
		if err != nil {
			return remote(err)
		}
		if err := send(session.Blob{ID: id, Data: data}); err != nil {
			return err
		}
	}
	return nil
}

// Unpair forgets the calling device. Its data stay, for its successor.
func (d *Daemon) Unpair(_ context.Context, p session.Peer) error {
	err := d.keys.RemovePeer(p.ID)
	d.event("pairing", map[string]any{"state": "unpaired", "device": p.ID})
	d.bus.Refresh()
	return err
}

// vaultOf is the vault of a device that was committed to last; zero for none.
func (d *Daemon) vaultOf(device string) vault.VaultID {
	records, err := d.store.Vaults()
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

// remote gives an error of the store the name that it has on the wire.
func remote(err error) error {
	for _, t := range []struct{ from, to error }{
		{vault.ErrNoVault, session.ErrNoVault},
		{vault.ErrExists, session.ErrExists},
		{vault.ErrStale, session.ErrStale},
		{vault.ErrNoBlob, session.ErrNoData},
		{vault.ErrDamaged, session.ErrDamaged},
		{vault.ErrConflict, session.ErrConflict},
		{vault.ErrLimit, session.ErrTooLarge},
		{vault.ErrCommit, session.ErrBadRequest},
		{vault.ErrRecord, session.ErrBadRequest},
	} {
		if errors.Is(err, t.from) {
			return fmt.Errorf("%w: %w", t.to, err)
		}
	}
	return err
}
