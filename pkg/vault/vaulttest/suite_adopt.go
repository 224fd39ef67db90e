package vaulttest

import (
	"bytes"
	"reflect"

	"github.com/reprovision/reprovision/pkg/vault"
)

// portable is what a card holds of a vault.
func portable(record vault.Record, seq uint64, numbers ...byte) vault.Portable {
	p := vault.Portable{Record: record, Snapshot: vault.SnapshotRecord{
		Snapshot: vault.SnapshotID{byte(seq), 4}, Parent: vault.SnapshotID{byte(seq), 5}, Seq: seq, Committed: now(),
		Header: bytes.Repeat([]byte{byte(seq)}, vault.SealOverhead+10),
	}}
	for _, n := range numbers {
		p.Blobs, p.Snapshot.Critical = append(p.Blobs, Blob(n)), append(p.Snapshot.Critical, Blob(n).ID)
	}
	return p
}

// testAdopt takes up a vault that the store does not know, and goes on with it.
func testAdopt(r *run) {
	record := Record(1)
	p := portable(record, 7, 1, 2)
	r.must(r.store.Adopt(p))
	want := p.Snapshot
	want.Blobs, want.Bytes = want.Critical, int64(len(Blob(1).Sealed)+len(Blob(2).Sealed))
	all, err := r.store.Snapshots(record.ID)
	r.must(err)
	if got, err := r.store.Vault(record.ID); err != nil || !reflect.DeepEqual(got, record) || !reflect.DeepEqual(all, []vault.SnapshotRecord{want}) {
		r.Fatalf("got  %+v, %+v, %v\nwant %+v", got, all, err, want)
	}
	r.must(r.store.Unstage(record.ID))
	if sealed, err := r.store.Get(record.ID, Blob(2).ID); err != nil || !bytes.Equal(sealed, Blob(2).Sealed) {
		r.Fatalf("a blob is gone: %v", err)
	}
	r.want(r.store.Adopt(p), vault.ErrStale)
	ids := r.put(record.ID, 3)
	r.must(r.store.Commit(record.ID, Commit(record.ID, want.Snapshot, 8, ids, want.Blobs), now()))
}

// testAdoptNewer takes up what another store has added to a vault.
func testAdoptNewer(r *run) {
	id := r.create(1)
	ids := r.put(id, 1, 2)
	r.must(r.store.Commit(id, Commit(id, vault.SnapshotID{}, 4, ids, nil), now()))
	theirs := Record(1)
	theirs.Owner, theirs.Label, theirs.Authorization, theirs.Epoch = "", []byte("new"), []byte("theirs"), 9
	theirs.Slots = []vault.Slot{{Kind: "reader", Data: []byte("theirs")}}
	r.want(r.store.Adopt(portable(theirs, 4, 2)), vault.ErrStale)
	other := portable(theirs, 6, 2)
	other.Blobs[0].Sealed = bytes.Repeat([]byte{9}, vault.SealOverhead)
	r.want(r.store.Adopt(other), vault.ErrConflict)
	bad := portable(theirs, 6, 2, 3)
	bad.Blobs = bad.Blobs[:1]
	r.want(r.store.Adopt(bad), vault.ErrPortable)
	r.must(r.store.Adopt(portable(theirs, 6, 2, 3)))
	all, err := r.store.Snapshots(id)
	r.must(err)
	if len(all) != 2 || all[0].Seq != 6 || all[1].Seq != 4 {
		r.Fatalf("snapshots %+v", all)
	}
	got, err := r.store.Vault(id)
	r.must(err)
	if !reflect.DeepEqual(got, Record(1)) {
		r.Fatalf("a card has changed the record to %+v", got)
	}
	if _, err := r.store.Get(id, ids[0]); err != nil {
		r.Fatalf("what the older snapshot needs is gone: %v", err)
	}
}
