package vaulttest

import (
	"github.com/reprovision/reprovision/pkg/vault"
)

// three commits three snapshots: of the blobs 1 and 2, of 2 and 3, of 3 and 4.
func (r *run) three(id vault.VaultID) (ids []vault.BlobID, commits []vault.Commit) {
	r.Helper()
	ids = r.put(id, 1, 2, 3, 4)
	commits = []vault.Commit{Commit(id, vault.SnapshotID{}, 1, ids[:2], nil)}
	commits = append(commits, Commit(id, commits[0].Snapshot, 2, ids[2:3], ids[:1]))
	commits = append(commits, Commit(id, commits[1].Snapshot, 3, ids[3:], ids[1:2]))
	for _, c := range commits {
		r.must(r.store.Commit(id, c, now()))
	}
	return ids, commits
}

func (r *run) wantUsage(id vault.VaultID, numbers ...byte) {
	r.Helper()
	var want vault.Usage
	for _, n := range numbers {
		want.Blobs++
		want.Bytes += int64(len(Blob(n).Sealed))
	}
	if got, err := r.store.Usage(id); err != nil || got != want {
		r.Fatalf("usage %+v, %v, want %+v", got, err, want)
	}
}

// sweep marks, wants that to be garbage, and sweeps it a blob at a time.
func (r *run) sweep(id vault.VaultID, want ...vault.BlobID) {
	r.Helper()
	m, err := r.store.Mark(id)
	r.must(err)
	if !sameIDs(m.Garbage, want) || len(m.Lost) > 0 {
		r.Fatalf("marked %v and %v as lost, want %v", m.Garbage, m.Lost, want)
	}
	for n := range m.Garbage {
		r.must(r.store.Sweep(m.Part(n, 1)))
	}
}

func testCollect(r *run) {
	id, other := r.create(1), r.create(2)
	ids, commits := r.three(id)
	r.put(other, 1)
	staged := r.put(id, 9)
	r.sweep(id)
	r.want(r.store.Remove(id, []uint64{1, 3}), vault.ErrStale) // never the newest
	r.wantSnapshots(id, false, commits[2].Snapshot, commits[1].Snapshot, commits[0].Snapshot)
	r.must(r.store.Remove(id, []uint64{1, 77}))
	r.wantSnapshots(id, false, commits[2].Snapshot, commits[1].Snapshot)
	r.wantUsage(id, 1, 2, 3, 4, 9)
	r.sweep(id, ids[0])
	r.wantMissing(id, append(ids, staged...), ids[:1])
	r.must(r.store.Remove(id, []uint64{2}))
	r.sweep(id, ids[1])
	r.wantMissing(id, append(ids, staged...), ids[:2])
	r.wantUsage(id, 3, 4, 9)
	r.wantUsage(other, 1)
	for _, b := range ids[2:] {
		_, err := r.store.Get(id, b)
		r.must(err)
	}
	r.must(r.store.Commit(id, Commit(id, commits[2].Snapshot, 4, staged, nil), now()))
	r.sweep(id)
	_, err := r.store.Compact(r.Context())
	r.must(err)
	r.wantUsage(id, 3, 4, 9)
}

// testSweepLate sweeps by a mark that a commit or an upload has overtaken.
func testSweepLate(r *run) {
	id := r.create(1)
	ids, commits := r.three(id)
	r.must(r.store.Remove(id, []uint64{1, 2}))
	m, err := r.store.Mark(id)
	r.must(err)
	// An upload was told that the first is there, and uses it again.
	again := Commit(id, commits[2].Snapshot, 4, ids[:1], nil)
	r.must(r.store.Commit(id, again, now()))
	r.want(r.store.Sweep(m), vault.ErrStale)
	r.wantMissing(id, ids, nil)
	r.sweep(id, ids[1])
	r.wantMissing(id, ids, ids[1:2])
	m, err = r.store.Mark(id)
	r.must(err)
	m.Garbage = r.put(id, 2) // staged since it was marked
	r.must(r.store.Sweep(m))
	r.wantMissing(id, ids, nil)
}

// testUnknownNames shows that nothing is swept while a record cannot be read, and
// that such a record can be removed.
func testUnknownNames(r *run) {
	id := r.create(1)
	ids, commits := r.three(id)
	r.must(r.store.Remove(id, []uint64{1}))
	m, err := r.store.Mark(id)
	r.must(err)
	r.subject.DamageHead(r.T, r.store, id)
	_, err = r.store.Mark(id)
	r.want(err, vault.ErrDamaged)
	r.want(r.store.Sweep(m), vault.ErrStale)
	r.wantMissing(id, ids, nil)
	r.must(r.store.Remove(id, []uint64{3}))
	r.wantSnapshots(id, false, commits[1].Snapshot)
	r.sweep(id, ids[0], ids[3])
}

// testInspect finds damage in steps, has it named, and heals it.
func testInspect(r *run) {
	id := r.create(1)
	ids, _ := r.three(id)
	r.subject.Damage(r.T, r.store, id, ids[1])
	r.subject.Damage(r.T, r.store, id, ids[3])
	var bad []vault.BlobID
	at := vault.Inspection{}
	for steps := 0; !at.End; steps++ {
		if steps > 10 {
			r.Fatal("no end")
		}
		var err error
		at, err = r.store.Inspect(id, at.Last, 1)
		r.must(err)
		bad = append(bad, at.Bad...)
	}
	want := []vault.BlobID{ids[1], ids[3]}
	if !sameIDs(bad, want) {
		r.Fatalf("bad %v, want %v", bad, want)
	}
	r.wantMissing(id, ids, nil)
	r.must(r.store.SetDamaged(id, append(bad, vault.BlobID{99}))) // nobody knows that one
	r.wantDamaged(id, want...)
	r.wantMissing(id, ids, want)
	healed := Blob(2)
	healed.Sealed = append(healed.Sealed, 7) // sealed anew
	r.must(r.store.Put(id, []vault.StoredBlob{healed}))
	r.wantDamaged(id, ids[3])
	r.must(r.store.Unstage(id)) // it is named, as it was before
	got, err := r.store.Get(id, ids[1])
	r.must(err)
	if len(got) != len(healed.Sealed) {
		r.Fatal("not healed")
	}
	r.must(r.store.SetDamaged(id, ids[2:3])) // it is whole, in truth
	other := Blob(3)
	other.Sealed = append(other.Sealed, 7)
	r.must(r.store.Put(id, []vault.StoredBlob{other}))
	r.wantDamaged(id, ids[3])
	r.must(r.store.Remove(id, []uint64{1, 2}))
	r.wantDamaged(id, ids[3])
}

func (r *run) wantDamaged(id vault.VaultID, want ...vault.BlobID) {
	r.Helper()
	if got, err := r.store.Damaged(id); err != nil || !sameIDs(got, want) {
		r.Fatalf("damaged %v, %v, want %v", got, err, want)
	}
}
