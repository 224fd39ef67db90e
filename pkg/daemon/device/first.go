package device

import (
	"context"

	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// A device that has lost everything has no list of what there is to be, and that list takes
// many seconds of a radio link. So such a device loads the list of its service books and
// keys first, has them in place, and then loads the rest and goes on: the first network
// does not wait for the last picture.

// inTwo tells whether the newest snapshot is restored in two steps: all of it, with no
// question open for which everything would have to be known, and from the reader alone.
func (r *restoreRun) inTwo(mine *session.Vault) bool {
	if r.second || r.dry || !r.confirmed || r.sel.Names != nil || len(r.sel.Below) > 0 || len(r.sel.Classes) > 0 {
		return false
	}
	if mine == nil || mine.Head == nil || mine.Head.CriticalOnly || mine.Head.BooksOnly || r.knows(vault.SnapshotID(mine.Head.ID)) {
		return false
	}
	if !r.snapshot.IsZero() && r.snapshot != vault.SnapshotID(mine.Head.ID) {
		return false
	}
	h, err := vault.OpenHeader(r.vault.key, r.vault.id, vault.SnapshotID(mine.Head.ID), mine.Head.Header)
	return err == nil && len(h.Index[vault.Critical]) > 0 && len(h.Index[vault.Bulk]) > 0
}

// knows tells whether a snapshot's list of items is on the device.
func (d *Daemon) knows(id vault.SnapshotID) bool {
	if ds := d.book.current(); ds != nil && ds.Header().Snapshot == id {
		return true
	}
	prepared, err := d.state.dataSet(keyPrepared)
	return err == nil && prepared != nil && prepared.Header().Snapshot == id
}

// pickFirst loads the critical part of a snapshot.
func (r *restoreRun) pickFirst(ctx context.Context, head session.Snapshot) error {
	ds, err := r.loadFirst(ctx, r.source(), r.vault, head)
	if err == nil {
		r.dataSet, r.newest, r.first = ds, true, true
	}
	return err
}

// widenJob adds to the job what is planned of the rest, now that its list is there.
func (r *restoreRun) widenJob() {
	if r.job.Run == "" && r.resumed != nil {
		r.job = *r.resumed
	}
	if !r.job.Rest || r.first {
		return
	}
	has := r.job.names()
	for _, a := range r.plan.Actions {
		if !has[a.Want.Name] {
			r.job.Items = append(r.job.Items, r.jobItem(a))
		}
	}
	r.job.Rest = false
}

// beyond is how many bytes of contents the snapshot has that its data set does not list yet.
func (r *restoreRun) beyond() int64 {
	if !r.first {
		return 0
	}
	return r.dataSet.Header().Bytes - r.dataSet.Manifest().Bytes()
}

// fillingUp tells whether a restore in two steps is under way, or was cut short: what it is
// about to load nobody else is to load beside it.
func (d *Daemon) fillingUp() bool {
	jobs, err := d.state.jobs()
	if err != nil {
		return false
	}
	for _, job := range jobs {
		if job.Rest {
			return true
		}
	}
	return false
}
