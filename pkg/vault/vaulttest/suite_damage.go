package vaulttest

import (
	"github.com/reprovision/reprovision/pkg/vault"
)

// wantSnapshots checks which snapshots a vault lists, the newest first, and
// whether it calls others damaged.
func (r *run) wantSnapshots(id vault.VaultID, damaged bool, want ...vault.SnapshotID) {
	r.Helper()
	all, err := r.store.Snapshots(id)
	if damaged {
		r.want(err, vault.ErrDamaged)
	} else {
		r.must(err)
	}
	if len(all) != len(want) {
		r.Fatalf("%d snapshots, want %d", len(all), len(want))
	}
	for i, s := range all {
		if s.Snapshot != want[i] {
			r.Fatalf("snapshot %d is %s, want %s", i, s.Snapshot, want[i])
		}
	}
}

func (r *run) wantMissing(id vault.VaultID, asked, want []vault.BlobID) {
	r.Helper()
	missing, err := r.store.Missing(id, asked)
	r.must(err)
	if !sameIDs(missing, want) {
		r.Fatalf("missing %v, want %v", missing, want)
	}
}

// testDamagedHead loses the record of the newest snapshot. The next commit
// follows the one before, and may use blobs that only the lost one named.
func testDamagedHead(r *run) {
	id := r.create(1)
	ids := r.put(id, 1, 2, 3, 4)
	first := Commit(id, vault.SnapshotID{}, 1, ids[:1], nil)
	r.must(r.store.Commit(id, first, now()))
	lost := Commit(id, first.Snapshot, 2, ids[1:3], nil)
	r.must(r.store.Commit(id, lost, now()))
	r.subject.DamageHead(r.T, r.store, id)
	r.wantSnapshots(id, true, first.Snapshot)
	r.want(r.store.Commit(id, Commit(id, lost.Snapshot, 3, ids[3:], nil), now()), vault.ErrStale)
	r.wantSnapshots(id, true, first.Snapshot) // a refused commit removes nothing
	second := Commit(id, first.Snapshot, 2, ids[1:2], nil)
	second.Snapshot = vault.SnapshotID{42}
	r.must(r.store.Commit(id, second, now()))
	r.wantSnapshots(id, false, second.Snapshot, first.Snapshot)
	r.must(r.store.Commit(id, Commit(id, second.Snapshot, 3, ids[3:], nil), now()))
	r.wantMissing(id, ids, nil)
	r.must(r.store.Unstage(id)) // only the lost snapshot named the third
	r.wantMissing(id, ids, ids[2:3])
}

// testDamagedHeadAgain sends the commit again whose record was lost: its answer
// may have been lost too.
func testDamagedHeadAgain(r *run) {
	id := r.create(1)
	ids := r.put(id, 1, 2)
	c := Commit(id, vault.SnapshotID{}, 1, ids, nil)
	r.must(r.store.Commit(id, c, now()))
	r.subject.DamageHead(r.T, r.store, id)
	r.wantSnapshots(id, true)
	r.must(r.store.Commit(id, c, now()))
	r.wantSnapshots(id, false, c.Snapshot)
	r.must(r.store.Unstage(id))
	r.wantMissing(id, ids, nil)
}
