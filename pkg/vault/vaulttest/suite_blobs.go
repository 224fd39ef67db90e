package vaulttest

import (
	"bytes"
	"errors"
	"reflect"

	"github.com/reprovision/reprovision/pkg/vault"
)

func testPutGet(r *run) {
	id := r.create(1)
	ids := r.put(id, 1, 2)
	asked := []vault.BlobID{{7}, ids[1], {8}, ids[0]}
	missing, err := r.store.Missing(id, asked)
	r.must(err)
	if !sameIDs(missing, []vault.BlobID{{7}, {8}}) {
		r.Fatalf("missing %v", missing)
	}
	for n, b := range ids {
		got, err := r.store.Get(id, b)
		r.must(err)
		if !bytes.Equal(got, Blob(byte(n+1)).Sealed) {
			r.Fatalf("blob %s differs", b)
		}
	}
	_, err = r.store.Get(id, vault.BlobID{7})
	r.want(err, vault.ErrNoBlob)
	var which *vault.BlobError
	if !errors.As(err, &which) || which.ID != (vault.BlobID{7}) {
		r.Fatalf("the error does not name the blob: %v", err)
	}
}

func testIdempotent(r *run) {
	r.open(vault.Limits{Blobs: 2, Bytes: int64(len(Blob(1).Sealed) + len(Blob(2).Sealed))})
	id := r.create(1)
	for range 3 {
		r.put(id, 1, 2, 1) // counted once each
	}
	r.want(r.store.Put(id, []vault.StoredBlob{Blob(3)}), vault.ErrLimit)
}

func testConflict(r *run) {
	id := r.create(1)
	r.put(id, 1)
	other := vault.StoredBlob{ID: Blob(1).ID, Sealed: Blob(5).Sealed}
	err := r.store.Put(id, []vault.StoredBlob{Blob(2), other})
	r.want(err, vault.ErrConflict)
	var which *vault.BlobError
	if !errors.As(err, &which) || which.ID != other.ID {
		r.Fatalf("the error does not name the blob: %v", err)
	}
	missing, err := r.store.Missing(id, []vault.BlobID{Blob(2).ID})
	r.must(err)
	if len(missing) != 1 {
		r.Fatal("a refused request stored a part of it")
	}
}

func testDamage(r *run) {
	id := r.create(1)
	ids := r.put(id, 1, 2)
	r.subject.Damage(r.T, r.store, id, ids[0])
	_, err := r.store.Get(id, ids[0])
	r.want(err, vault.ErrDamaged)
	c := Commit(id, vault.SnapshotID{}, 1, ids, nil)
	err = r.store.Commit(id, c, now())
	r.want(err, vault.ErrDamaged)
	var which *vault.BlobError
	if !errors.As(err, &which) || which.ID != ids[0] {
		r.Fatalf("the error does not name the blob: %v", err)
	}
	healed := vault.StoredBlob{ID: ids[0], Sealed: Blob(9).Sealed} // sealed anew: other bytes
	r.must(r.store.Put(id, []vault.StoredBlob{healed}))
	r.must(r.store.Commit(id, c, now()))
	if got, err := r.store.Get(id, ids[0]); err != nil || !bytes.Equal(got, healed.Sealed) {
		r.Fatalf("not healed: %v", err)
	}
	if got := r.head(id).Bytes; got != int64(len(healed.Sealed)+len(Blob(2).Sealed)) {
		r.Fatalf("snapshot of %d bytes", got)
	}
	r.must(r.store.Unstage(id))
	if _, err := r.store.Get(id, ids[0]); err != nil {
		r.Fatalf("a healed blob is not committed any more: %v", err)
	}
}

func testBlobLimits(r *run) {
	r.open(vault.Limits{Blobs: 3, Bytes: 4 << 20})
	id := r.create(1)
	big := func(n byte, size int) vault.StoredBlob {
		return vault.StoredBlob{ID: vault.BlobID{n}, Sealed: make([]byte, size)}
	}
	r.want(r.store.Put(id, []vault.StoredBlob{big(1, vault.MaxBlob+1)}), vault.ErrLimit)
	r.want(r.store.Put(id, []vault.StoredBlob{big(1, vault.SealOverhead-1)}), vault.ErrLimit)
	r.want(r.store.Put(id, make([]vault.StoredBlob, vault.MaxPutBlobs+1)), vault.ErrLimit)
	r.want(r.store.Put(id, []vault.StoredBlob{Blob(1), Blob(2), Blob(3), Blob(4)}), vault.ErrLimit)
	r.must(r.store.Put(id, []vault.StoredBlob{big(1, 2<<20)}))
	r.want(r.store.Put(id, []vault.StoredBlob{big(2, 2<<20), Blob(1)}), vault.ErrLimit)
	_, err := r.store.Missing(id, make([]vault.BlobID, vault.MaxAskBlobs+1))
	r.want(err, vault.ErrLimit)
	r.must(r.store.Unstage(id)) // frees its share
	r.must(r.store.Put(id, []vault.StoredBlob{big(2, 2<<20), Blob(1)}))
}

func testUnstage(r *run) {
	id := r.create(1)
	ids := r.put(id, 1, 2, 3)
	r.must(r.store.Commit(id, Commit(id, vault.SnapshotID{}, 1, ids[:1], nil), now()))
	r.must(r.store.Unstage(id))
	missing, err := r.store.Missing(id, ids)
	r.must(err)
	if !sameIDs(missing, ids[1:]) {
		r.Fatalf("missing %v", missing)
	}
	r.must(r.store.Unstage(id))
	before := r.head(id)
	if !reflect.DeepEqual(before.Blobs, ids[:1]) {
		r.Fatalf("snapshot %+v", before)
	}
	r.put(id, 2)
}
