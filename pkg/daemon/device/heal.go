package device

import (
	"context"
	"errors"
	"sync"

	"github.com/reprovision/reprovision/pkg/backup"
	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// readerDamage is what the reader last said is damaged there of this device's
// newest snapshot. It is safe for concurrent use.
type readerDamage struct {
	mu    sync.Mutex
	blobs []session.ID
}

func (r *readerDamage) set(blobs []session.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blobs = blobs
}

func (r *readerDamage) count() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return int64(len(r.blobs))
}

// of is what is damaged of a data set.
func (r *readerDamage) of(ds *vault.DataSet) map[vault.BlobID]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ds == nil || len(r.blobs) == 0 {
		return nil
	}
	said := make(map[vault.BlobID]bool, len(r.blobs))
	for _, b := range r.blobs {
		said[b] = true
	}
	lost := make(map[vault.BlobID]bool)
	for _, p := range vault.Parts() {
		for _, b := range ds.Blobs(p) {
			if said[b] {
				lost[b] = true
			}
		}
	}
	return lost
}

// hearDamage takes note of the reader's word that some of what it keeps is damaged.
func (d *Daemon) hearDamage(blobs uint64) {
	d.log.Warn("the reader has damaged data of this device", "blobs", blobs)
	d.familiar.forget() // which ones it says when it is asked for the vaults
	d.event("damage", map[string]any{"state": "found", "blobs": int64(blobs)})
	select {
	case d.heals <- struct{}{}:
	default:
	}
}

// healer makes good what is damaged at the reader, as soon as it is heard of.
func (d *Daemon) healer(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.heals:
		}
		healed, err := d.heal(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errChangedSince):
			d.log.Info("the damage at the reader is mended by the next backup")
			d.event("damage", map[string]any{"state": "waits for the next backup"})
		case err != nil:
			d.log.Error("cannot mend the damage at the reader", "error", err)
		case healed > 0:
			d.event("damage", map[string]any{"state": "mended", "blobs": healed})
		}
		d.bus.Refresh()
	}
}

// errChangedSince says that a backup would save more than what is saved already.
var errChangedSince = errors.New("data have changed since the last backup")

// heal is a backup that adds nothing: what was changed since the last one is the
// owner's, or the schedule's, to save.
func (d *Daemon) heal(ctx context.Context) (healed int64, err error) {
	end, err := d.ops.only(ctx, activityBackup, d.backups)
	if err != nil {
		return 0, err
	}
	defer end()
	run := &backupRun{Daemon: d, healOnly: true}
	if _, err = backup.Drive(ctx, backup.Begin, run.step); err == nil {
		err = run.failure
	}
	if errors.Is(err, busapi.ErrOutOfRange) {
		return 0, nil // the next session begins with it
	}
	return run.result.Healed, err
}

// onlyHeals tells whether the backup's sight is just what was saved.
func (r *backupRun) onlyHeals() bool {
	return sameSnapshot(r.base, r.book.current()) && !r.reclassed() && r.sight.report.Counts[detect.Changed] == 0
}

// sameSnapshot tells whether two data sets are one: the beginning of the session, which
// hears of damage, too, may have loaded the reader's anew meanwhile.
func sameSnapshot(a, b *vault.DataSet) bool {
	return a != nil && b != nil && a.Header().Snapshot == b.Header().Snapshot
}

// salts lists the full snapshots at the reader, where something is to be made just as it
// was: contents that a full one packed have ids of its own.
func (r *backupRun) salts(ctx context.Context) ([]vault.SnapshotID, error) {
	if len(r.lost) == 0 {
		return nil, nil
	}
	list, err := r.session.Snapshots(ctx, session.SnapshotQuery{Vault: r.vault.id})
	if err != nil {
		return nil, err
	}
	var full []vault.SnapshotID
	for _, s := range list {
		h, err := vault.OpenHeader(r.vault.key, r.vault.id, vault.SnapshotID(s.ID), s.Header)
		if err == nil && h.Mode == vault.Full {
			full = append(full, h.Snapshot)
		}
	}
	return full, nil
}

// countHealed counts what was damaged and is whole now: all of it but what items that are
// damaged here too still need.
func (r *backupRun) countHealed(ctx context.Context, ds *vault.DataSet) {
	if len(r.lost) == 0 {
		return
	}
	if _, _, err := r.find(ctx, r.session, r.vault.id); err != nil {
		r.log.Warn("cannot ask what is still damaged at the reader", "error", err)
		return
	}
	r.result.Healed = max(0, int64(len(r.lost)-len(r.damage.of(ds))))
}
