package reader

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"syscall"

	"github.com/reprovision/reprovision/pkg/panel"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

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
	defer d.uses.begin()()
	if _, err := d.mine(p, id); err != nil {
		return nil, err
	}
	d.uses.upload(id, p)
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

func optionalIDs(ids []session.ID) []vault.BlobID {
	if len(ids) == 0 {
		return nil
	}
	return blobIDs(ids)
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
	defer d.uses.begin()()
	if _, err := d.mine(p, id); err != nil {
		return 0, err
	}
	d.uses.upload(id, p)
	var group []vault.StoredBlob
	stored, bytes := 0, 0
	flush := func() error {
		err := d.put(p.ID, id, group, int64(bytes))
		if err == nil {
			stored += len(group)
		}
		group, bytes = nil, 0
		return remote(err)
	}
	for b, err := range blobs {
		if err != nil {
			err = errors.Join(err, flush()) // what arrived whole need not come again
			return stored, err
		}
		group = append(group, vault.StoredBlob{ID: b.ID, Sealed: b.Data})
		d.moved(p.ID, panel.Saving, len(b.Data))
		if bytes += len(b.Data); bytes >= groupBytes || len(group) == vault.MaxPutBlobs {
			if err := flush(); err != nil {
				return stored, err
			}
		}
	}
	err := flush()
	return stored, err
}

// put stores a group, if the device has room for it.
func (d *Daemon) put(device string, id vault.VaultID, group []vault.StoredBlob, bytes int64) error {
	if len(group) == 0 {
		return nil
	}
	err := d.admit(device, id, bytes)
	if err == nil {
		err = d.store.Put(id, group)
	}
	if err == nil {
		d.mirror.mended()
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, session.ErrOverQuota) {
		d.makeRoom(id)
	}
	return err
}

// makeRoom gives up what an upload that does not fit has left behind, so that a
// smaller one has room.
func (d *Daemon) makeRoom(id vault.VaultID) {
	d.uses.committed(id)
	d.tidySoon()
	if err := d.store.Unstage(id); err != nil {
		d.log.Error("the disk is full, and what was sent in vain cannot be removed", "vault", id, "error", err)
	}
}

// Commit makes a snapshot the newest, and brings the card up to date.
func (d *Daemon) Commit(ctx context.Context, p session.Peer, c session.Commit) (session.CardState, error) {
	defer d.uses.begin()()
	r, err := d.mine(p, c.Vault)
	if err == nil {
		err = remote(d.mayCommit(r, c))
	}
	if err != nil {
		return session.CardState{}, err
	}
	err = d.store.Commit(c.Vault, vault.Commit{
		Vault: c.Vault, Snapshot: c.Snapshot, Parent: c.Parent, Seq: c.Seq, Header: c.Header,
		Add: blobIDs(c.Add), Drop: blobIDs(c.Drop), Critical: blobIDs(c.Critical), Books: optionalIDs(c.Books),
		Anew: c.Anew, Voucher: c.Voucher,
	}, d.now().UTC())
	if err != nil {
		return session.CardState{}, remote(d.blame(c.Vault, err))
	}
	d.clear(c.Vault)
	d.uses.committed(c.Vault)
	d.tidySoon()
	d.event("backup", map[string]any{"device": p.ID, "snapshot": vault.SnapshotID(c.Snapshot).String(), "seq": int64(c.Seq)})
	return d.mirror.update(ctx, c.Vault), nil
}

// clear removes what a vault's last commit did not name: it came from attempts
// that were given up. A pending one keeps its blobs, for they are all named by
// the commit that ends it.
func (d *Daemon) clear(id vault.VaultID) {
	if err := d.store.Unstage(id); err != nil {
		d.log.Warn("cannot remove what interrupted backups left", "vault", id, "error", err)
	}
}

// hold keeps a snapshot that is being restored; zero for none.
func (d *Daemon) hold(id vault.VaultID, s vault.SnapshotID) error {
	if s.IsZero() {
		return nil
	}
	if !d.ledger.held(id, d.now())(s) {
		list, err := d.snapshots(id)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(list, func(r vault.SnapshotRecord) bool { return r.Snapshot == s }) {
			return nil // what is not there cannot be kept
		}
	}
	if d.ledger.hold(id, s, d.now()) {
		d.tidySoon() // which writes it down first
	}
	return nil
}

// rest lists what else the critical part of a snapshot consists of, where that is wanted: a
// device that reads the index asks for those next, and would lose a round trip.
func (d *Daemon) rest(q session.BlobQuery) []vault.BlobID {
	if !q.Critical || q.FromCard {
		return nil
	}
	list, err := d.snapshots(q.Vault)
	at := slices.IndexFunc(list, func(r vault.SnapshotRecord) bool { return r.Snapshot == vault.SnapshotID(q.Snapshot) })
	if err != nil || at < 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(list[at].Critical), func(id vault.BlobID) bool { return slices.Contains(q.IDs, session.ID(id)) })
}

// Get sends blobs, from the card alone if so asked.
func (d *Daemon) Get(ctx context.Context, p session.Peer, q session.BlobQuery, send func(session.Blob) error) error {
	defer d.uses.begin()()
	if _, err := d.mine(p, q.Vault); err != nil {
		return err
	}
	if err := d.hold(q.Vault, q.Snapshot); err != nil {
		d.log.Warn("cannot note that a snapshot is being restored", "error", err)
	}
	get := func(id vault.BlobID) ([]byte, error) {
		data, err := d.store.Get(q.Vault, id)
		return data, d.blame(q.Vault, err)
	}
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
		if q.Snapshot != (session.ID{}) { // else it only looks what there is
			d.moved(p.ID, panel.Restoring, len(data))
		}
	}
	for _, id := range d.rest(q) {
		data, err := get(id)
		if err != nil {
			return nil // the device asks for it where it needs it, and hears why it has not come
		}
		if err := send(session.Blob{ID: id, Data: data}); err != nil {
			return err
		}
	}
	return nil
}
