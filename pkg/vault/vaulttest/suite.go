package vaulttest

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/vault"
)

// Subject is an implementation under test.
type Subject struct {
	// Open makes a new, empty store with these limits. The suite closes it.
	Open func(t *testing.T, limits vault.Limits) vault.Store
	// Damage changes a byte of a stored blob behind the store's back.
	Damage func(t *testing.T, s vault.Store, id vault.VaultID, blob vault.BlobID)
	// DamageHead makes the record of a vault's newest snapshot unreadable behind
	// the store's back.
	DamageHead func(t *testing.T, s vault.Store, id vault.VaultID)
	// Reopen closes the store and opens it again on the same data; nil where
	// nothing lasts.
	Reopen func(t *testing.T, s vault.Store) vault.Store
}

// Run puts an implementation of vault.Store through the conformance suite.
func Run(t *testing.T, subject Subject) {
	for name, test := range map[string]func(*run){
		"records": testRecords, "record limits": testRecordLimits, "vault limits": testVaultLimits,
		"put and get": testPutGet, "put is idempotent": testIdempotent, "conflict": testConflict,
		"damage is seen and healed": testDamage, "blob limits": testBlobLimits, "unstage": testUnstage,
		"commit": testCommit, "commit repeated": testCommitRepeated, "stale": testStale, "anew": testAnew, "bad commits": testBadCommits,
		"damaged head": testDamagedHead, "adopt": testAdopt, "adopt newer": testAdoptNewer, "damaged head again": testDamagedHeadAgain,
		"vaults are apart": testApart, "no vault": testNoVault, "lasting": testLasting, "nothing is shared": testAliasing,
		"collect": testCollect, "sweep late": testSweepLate, "unknown names": testUnknownNames, "inspect": testInspect,
	} {
		t.Run(name, func(t *testing.T) {
			r := &run{T: t, subject: subject}
			r.open(vault.Limits{})
			test(r)
		})
	}
}

// run is one test of the suite with its store.
type run struct {
	*testing.T
	subject Subject
	store   vault.Store
}

func (r *run) open(l vault.Limits) {
	r.Helper()
	s := r.subject.Open(r.T, l)
	r.store = s
	r.Cleanup(func() { r.must(s.Close()) })
}

func (r *run) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *run) want(err, target error) {
	r.Helper()
	if !errors.Is(err, target) {
		r.Fatalf("got error %v, want %v", err, target)
	}
}

func (r *run) create(n byte) vault.VaultID {
	r.Helper()
	rec := Record(n)
	r.must(r.store.Create(rec))
	return rec.ID
}

// put stores blobs of those numbers and returns their ids.
func (r *run) put(id vault.VaultID, numbers ...byte) (ids []vault.BlobID) {
	r.Helper()
	var blobs []vault.StoredBlob
	for _, n := range numbers {
		blobs = append(blobs, Blob(n))
		ids = append(ids, Blob(n).ID)
	}
	r.must(r.store.Put(id, blobs))
	return ids
}

func (r *run) head(id vault.VaultID) vault.SnapshotRecord {
	r.Helper()
	all, err := r.store.Snapshots(id)
	r.must(err)
	if len(all) == 0 {
		r.Fatal("no snapshot")
	}
	return all[0]
}

// Record makes a valid record, a different one for each number.
func Record(n byte) vault.Record {
	return vault.Record{
		ID: vault.VaultID{n, 1}, Owner: "peer", Created: time.Unix(1_700_000_000, 0).UTC(), Label: []byte{n},
		Slots:         []vault.Slot{{Kind: "device", Data: []byte("wrapped")}, {Kind: "card-pin", Data: []byte{n}}},
		Authorization: []byte{n, 3},
	}
}

// Blob makes a valid stored blob, a different one for each number.
func Blob(n byte) vault.StoredBlob {
	return vault.StoredBlob{ID: vault.BlobID{n, 2}, Sealed: bytes.Repeat([]byte{n}, vault.SealOverhead+int(n))}
}

// Commit makes a commit of a vault, a different one for each generation.
func Commit(id vault.VaultID, parent vault.SnapshotID, seq uint64, add, drop []vault.BlobID) vault.Commit {
	return vault.Commit{
		Vault: id, Snapshot: vault.SnapshotID{byte(seq), 3}, Parent: parent, Seq: seq,
		Header: bytes.Repeat([]byte{byte(seq)}, vault.SealOverhead+10), Add: add, Drop: drop,
	}
}

func now() time.Time { return time.Unix(1_700_000_100, 0).UTC() }

func sameIDs(a, b []vault.BlobID) bool { return slices.Equal(a, b) }
