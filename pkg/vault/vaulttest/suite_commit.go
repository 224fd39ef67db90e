package vaulttest

import (
	"bytes"
	"reflect"

	"github.com/reprovision/reprovision/pkg/vault"
)

func testCommit(r *run) {
	id := r.create(1)
	ids := r.put(id, 1, 2, 3, 4)
	first := Commit(id, vault.SnapshotID{}, 7, ids[:3], nil) // a store may start at any generation
	first.Critical = ids[1:3]
	r.must(r.store.Commit(id, first, now()))
	second := Commit(id, first.Snapshot, 8, ids[3:], ids[:1])
	second.Critical = ids[1:3]
	r.must(r.store.Commit(id, second, now().Add(1)))
	all, err := r.store.Snapshots(id)
	r.must(err)
	size := func(ns ...byte) (n int64) {
		for _, b := range ns {
			n += int64(len(Blob(b).Sealed))
		}
		return n
	}
	want := []vault.SnapshotRecord{
		{Snapshot: second.Snapshot, Parent: first.Snapshot, Seq: 8, Committed: now(), Header: second.Header, Blobs: ids[1:4], Critical: ids[1:3], Bytes: size(2, 3, 4)},
		{Snapshot: first.Snapshot, Seq: 7, Committed: now(), Header: first.Header, Blobs: ids[:3], Critical: ids[1:3], Bytes: size(1, 2, 3)},
	}
	if !reflect.DeepEqual(all, want) {
		r.Fatalf("got  %+v\nwant %+v", all, want)
	}
	if _, err := r.store.Get(id, ids[0]); err != nil {
		r.Fatalf("what an older snapshot needs is gone: %v", err)
	}
	third := Commit(id, second.Snapshot, 9, ids[:1], nil) // back again
	r.must(r.store.Commit(id, third, now()))
}

func testCommitRepeated(r *run) {
	id := r.create(1)
	ids := r.put(id, 1, 2)
	c := Commit(id, vault.SnapshotID{}, 1, ids, nil)
	for range 3 {
		r.must(r.store.Commit(id, c, now()))
	}
	if all, err := r.store.Snapshots(id); err != nil || len(all) != 1 {
		r.Fatalf("%d snapshots, %v", len(all), err)
	}
	c.Header = bytes.Repeat([]byte{9}, vault.SealOverhead)
	r.want(r.store.Commit(id, c, now()), vault.ErrConflict)
}

func testStale(r *run) {
	id := r.create(1)
	ids := r.put(id, 1, 2)
	r.want(r.store.Commit(id, Commit(id, vault.SnapshotID{5}, 1, ids[:1], nil), now()), vault.ErrStale)
	first := Commit(id, vault.SnapshotID{}, 1, ids[:1], nil)
	r.must(r.store.Commit(id, first, now()))
	r.want(r.store.Commit(id, Commit(id, vault.SnapshotID{}, 2, ids[1:], nil), now()), vault.ErrStale)
	low := Commit(id, first.Snapshot, 2, ids[1:], nil)
	low.Seq = first.Seq
	r.want(r.store.Commit(id, low, now()), vault.ErrStale)
	second := Commit(id, first.Snapshot, 5, ids[1:], nil) // the device was at another reader meanwhile
	r.must(r.store.Commit(id, second, now()))
	r.want(r.store.Commit(id, first, now()), vault.ErrStale)
	if got := r.head(id); got.Snapshot != second.Snapshot {
		r.Fatalf("head is %s", got.Snapshot)
	}
}

func testBadCommits(r *run) {
	id := r.create(1)
	ids := r.put(id, 1, 2, 3)
	first := Commit(id, vault.SnapshotID{}, 1, ids[:1], nil)
	r.must(r.store.Commit(id, first, now()))
	before := r.head(id)
	for name, tc := range map[string]struct {
		change func(*vault.Commit)
		want   error
	}{
		"add unknown":      {func(c *vault.Commit) { c.Add = []vault.BlobID{{9}} }, vault.ErrNoBlob},
		"add again":        {func(c *vault.Commit) { c.Add = ids[:1] }, vault.ErrCommit},
		"add twice":        {func(c *vault.Commit) { c.Add = []vault.BlobID{ids[1], ids[1]} }, vault.ErrCommit},
		"drop unknown":     {func(c *vault.Commit) { c.Drop = ids[1:2] }, vault.ErrCommit},
		"drop twice":       {func(c *vault.Commit) { c.Drop = []vault.BlobID{ids[0], ids[0]} }, vault.ErrCommit},
		"critical unknown": {func(c *vault.Commit) { c.Critical = []vault.BlobID{{9}} }, vault.ErrCommit},
		"critical dropped": {func(c *vault.Commit) { c.Drop, c.Critical = ids[:1], ids[:1] }, vault.ErrCommit},
		"other vault":      {func(c *vault.Commit) { c.Vault = vault.VaultID{8} }, vault.ErrCommit},
		"no snapshot":      {func(c *vault.Commit) { c.Snapshot = vault.SnapshotID{} }, vault.ErrCommit},
		"no header":        {func(c *vault.Commit) { c.Header = nil }, vault.ErrCommit},
		"huge header":      {func(c *vault.Commit) { c.Header = make([]byte, vault.MaxHeader+vault.SealOverhead+1) }, vault.ErrLimit},
	} {
		c := Commit(id, first.Snapshot, 2, ids[1:2], nil)
		tc.change(&c)
		if err := r.store.Commit(id, c, now()); err == nil {
			r.Fatalf("%s: committed", name)
		} else {
			r.want(err, tc.want)
		}
		if got := r.head(id); !reflect.DeepEqual(got, before) {
			r.Fatalf("%s: it changed the head to %+v", name, got)
		}
	}
	r.must(r.store.Unstage(id)) // a refused commit left its blobs staged
	missing, err := r.store.Missing(id, ids)
	r.must(err)
	if !sameIDs(missing, ids[1:]) {
		r.Fatalf("missing %v", missing)
	}
}

// testAnew goes on above a head of which the device knows nothing but the id.
func testAnew(r *run) {
	id := r.create(1)
	ids := r.put(id, 1, 2, 3)
	first := Commit(id, vault.SnapshotID{}, 1, ids[:1], nil)
	r.must(r.store.Commit(id, first, now()))
	foreign := Commit(id, first.Snapshot, 2, ids[1:2], ids[:1])
	r.must(r.store.Commit(id, foreign, now()))
	next := Commit(id, foreign.Snapshot, 3, []vault.BlobID{ids[0], ids[2]}, nil)
	next.Anew, next.Voucher = true, []byte("voucher")
	bad := next
	bad.Drop = ids[1:2]
	r.want(r.store.Commit(id, bad, now()), vault.ErrCommit)
	r.must(r.store.Commit(id, next, now()))
	got := r.head(id)
	if len(got.Blobs) != 2 || got.Blobs[0] != ids[0] || got.Blobs[1] != ids[2] || string(got.Voucher) != "voucher" {
		r.Fatalf("the head is %+v", got)
	}
	last := next
	last.Snapshot, last.Parent, last.Seq = vault.SnapshotID{77}, next.Snapshot, vault.MaxSeq+1
	r.want(r.store.Commit(id, last, now()), vault.ErrCommit)
	r.must(r.store.Unstage(id))
	if _, err := r.store.Get(id, ids[1]); err != nil {
		r.Fatalf("a blob of the head before is gone: %v", err)
	}
	r.want(r.store.Adopt(portable(Record(2), vault.MaxSeq/2+1, 4)), vault.ErrPortable)
}
