package vaulttest

import (
	"bytes"
	"reflect"
	"strings"

	"github.com/reprovision/reprovision/pkg/vault"
)

func testRecords(r *run) {
	b, a := Record(2), Record(1)
	r.must(r.store.Create(b))
	r.must(r.store.Create(a))
	r.want(r.store.Create(a), vault.ErrExists)
	all, err := r.store.Vaults()
	r.must(err)
	if !reflect.DeepEqual(all, []vault.Record{a, b}) {
		r.Fatalf("got %+v", all)
	}
	changed := a
	changed.Owner, changed.Label, changed.Slots = "other", nil, nil
	changed.Created = now()
	r.must(r.store.Update(changed))
	got, err := r.store.Vault(a.ID)
	r.must(err)
	changed.Created = a.Created
	if !reflect.DeepEqual(got, changed) {
		r.Fatalf("got %+v, want %+v", got, changed)
	}
	r.must(r.store.Delete(a.ID))
	if all, err = r.store.Vaults(); err != nil || len(all) != 1 {
		r.Fatalf("got %+v, %v", all, err)
	}
	r.must(r.store.Create(a))
}

func testRecordLimits(r *run) {
	r.create(1)
	for name, change := range map[string]func(*vault.Record){
		"no id":       func(rec *vault.Record) { rec.ID = vault.VaultID{} },
		"owner":       func(rec *vault.Record) { rec.Owner = strings.Repeat("x", vault.MaxOwner+1) },
		"owner bytes": func(rec *vault.Record) { rec.Owner = "\xff" },
		"label":       func(rec *vault.Record) { rec.Label = make([]byte, vault.MaxLabel+1) },
		"slots":       func(rec *vault.Record) { rec.Slots = make([]vault.Slot, vault.MaxSlots+1) },
		"slot kind":   func(rec *vault.Record) { rec.Slots[0].Kind = "No" },
		"slot empty":  func(rec *vault.Record) { rec.Slots[0].Kind = "" },
		"slot data":   func(rec *vault.Record) { rec.Slots[0].Data = make([]byte, vault.MaxSlot+1) },
	} {
		rec := Record(9)
		change(&rec)
		if err := r.store.Create(rec); err == nil {
			r.Errorf("%s: created", name)
		}
		rec = Record(1)
		if change(&rec); name == "no id" {
			continue
		}
		r.want(r.store.Update(rec), vault.ErrRecord)
	}
	if got, err := r.store.Vault(Record(1).ID); err != nil || !bytes.Equal(got.Label, Record(1).Label) {
		r.Fatalf("a refused update changed the record: %+v, %v", got, err)
	}
}

func testVaultLimits(r *run) {
	r.open(vault.Limits{Vaults: 2})
	r.create(1)
	r.create(2)
	r.want(r.store.Create(Record(3)), vault.ErrLimit)
	r.must(r.store.Delete(Record(1).ID))
	r.create(3)
}

func testNoVault(r *run) {
	id := vault.VaultID{9}
	_, err := r.store.Vault(id)
	r.want(err, vault.ErrNoVault)
	r.want(r.store.Update(Record(4)), vault.ErrNoVault)
	r.want(r.store.Delete(id), vault.ErrNoVault)
	_, err = r.store.Missing(id, nil)
	r.want(err, vault.ErrNoVault)
	r.want(r.store.Put(id, nil), vault.ErrNoVault)
	r.want(r.store.Commit(id, Commit(id, vault.SnapshotID{}, 1, nil, nil), now()), vault.ErrNoVault)
	_, err = r.store.Snapshots(id)
	r.want(err, vault.ErrNoVault)
	_, err = r.store.Get(id, vault.BlobID{})
	r.want(err, vault.ErrNoVault)
	r.want(r.store.Unstage(id), vault.ErrNoVault)
}

func testApart(r *run) {
	a, b := r.create(1), r.create(2)
	ids := r.put(a, 1)
	missing, err := r.store.Missing(b, ids)
	r.must(err)
	if !sameIDs(missing, ids) {
		r.Fatal("one vault sees the blobs of another")
	}
	r.must(r.store.Commit(a, Commit(a, vault.SnapshotID{}, 1, ids, nil), now()))
	if all, err := r.store.Snapshots(b); err != nil || len(all) > 0 {
		r.Fatalf("one vault sees the snapshots of another: %v", err)
	}
	r.must(r.store.Delete(b))
	if _, err := r.store.Get(a, ids[0]); err != nil {
		r.Fatal(err)
	}
}

func testLasting(r *run) {
	if r.subject.Reopen == nil {
		r.Skip("nothing lasts here")
	}
	id := r.create(1)
	ids := r.put(id, 1, 2, 3)
	r.must(r.store.Commit(id, Commit(id, vault.SnapshotID{}, 1, ids[:2], nil), now()))
	before := r.head(id)
	r.store = r.subject.Reopen(r.T, r.store)
	defer func() { r.must(r.store.Close()) }()
	if got, err := r.store.Vault(id); err != nil || !reflect.DeepEqual(got, Record(1)) {
		r.Fatalf("got %+v, %v", got, err)
	}
	if got := r.head(id); !reflect.DeepEqual(got, before) {
		r.Fatalf("got %+v, want %+v", got, before)
	}
	r.must(r.store.Unstage(id)) // what was staged is known to be
	missing, err := r.store.Missing(id, ids)
	r.must(err)
	if !sameIDs(missing, ids[2:]) {
		r.Fatalf("missing %v", missing)
	}
}

func testAliasing(r *run) {
	id := r.create(1)
	b := Blob(1)
	b.Sealed = bytes.Clone(b.Sealed)
	r.must(r.store.Put(id, []vault.StoredBlob{b}))
	b.Sealed[0] ^= 1
	got, err := r.store.Get(id, b.ID)
	r.must(err)
	got[0] ^= 1
	if again, err := r.store.Get(id, b.ID); err != nil || !bytes.Equal(again, Blob(1).Sealed) {
		r.Fatalf("the store shares memory with its caller: %v", err)
	}
}
