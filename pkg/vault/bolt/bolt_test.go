package bolt

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/reprovision/reprovision/pkg/vault"
	"github.com/reprovision/reprovision/pkg/vault/vaulttest"
)

func openTest(t *testing.T, l vault.Limits) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "state", "vaults.db"), Options{Limits: l})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	vaulttest.Run(t, vaulttest.Subject{
		Open:       func(t *testing.T, l vault.Limits) vault.Store { return openTest(t, l) },
		Damage:     func(t *testing.T, s vault.Store, id vault.VaultID, b vault.BlobID) { damage(t, s.(*Store), id, b) },
		DamageHead: func(t *testing.T, s vault.Store, id vault.VaultID) { damageHead(t, s.(*Store), id) },
		Reopen: func(t *testing.T, s vault.Store) vault.Store {
			path := s.(*Store).db.Path()
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			again, err := Open(path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			return again
		},
	})
}

// change rewrites a value in the vault's bucket, or in a bucket of it.
func change(t *testing.T, s *Store, id vault.VaultID, bucket string, key []byte, f func([]byte)) {
	t.Helper()
	err := s.update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucketVaults)).Bucket(id[:])
		if bucket != "" {
			b = b.Bucket([]byte(bucket))
		}
		v := bytes.Clone(b.Get(key))
		f(v)
		return b.Put(key, v)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func flip(v []byte) { v[len(v)-1] ^= 0x10 }

func damage(t *testing.T, s *Store, id vault.VaultID, blob vault.BlobID) {
	t.Helper()
	change(t, s, id, bucketBlobs, blob[:], flip)
}

// damageHead changes a byte of the newest snapshot's record.
func damageHead(t *testing.T, s *Store, id vault.VaultID) {
	t.Helper()
	var last []byte
	err := s.view(func(tx *bbolt.Tx) error {
		in, err := enter(tx, id)
		if err == nil {
			k, _ := in.snapshots.Cursor().Last()
			last = bytes.Clone(k)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	change(t, s, id, bucketSnapshots, last, flip)
}

func TestOpenModes(t *testing.T) {
	s := openTest(t, vault.Limits{})
	defer s.Close()
	path := s.db.Path()
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, want %v (%v)", p, info.Mode().Perm(), want, err)
		}
	}
}

func TestOpenTwice(t *testing.T) {
	s := openTest(t, vault.Limits{})
	defer s.Close()
	_, err := Open(s.db.Path(), Options{Timeout: 20 * time.Millisecond})
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("got %v", err)
	}
}

func TestOpenForeign(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk.db")
	if err := os.WriteFile(junk, bytes.Repeat([]byte("no database "), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(junk, Options{}); !errors.Is(err, ErrFormat) {
		t.Errorf("junk: got %v", err)
	}
	for name, fill := range map[string]func(tx *bbolt.Tx) error{
		"other.db": func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("stranger")); return err },
		"newer.db": func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucket([]byte(bucketMeta))
			if err != nil {
				return err
			}
			return b.Put([]byte(keyFormat), []byte{storeFormat + 1})
		},
	} {
		path := filepath.Join(dir, name)
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Update(fill), db.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, Options{}); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// filled makes a store with a committed and a staged blob and closes it.
func filled(t *testing.T) (path string, id vault.VaultID) {
	t.Helper()
	s := openTest(t, vault.Limits{})
	path = s.db.Path()
	id = vaulttest.Record(1).ID
	blobs := make([]vault.StoredBlob, 40)
	var ids []vault.BlobID
	for i := range blobs {
		blobs[i] = vault.StoredBlob{ID: vault.BlobID{byte(i)}, Sealed: bytes.Repeat([]byte{byte(i)}, 20_000)}
		ids = append(ids, blobs[i].ID)
	}
	err := errors.Join(s.Create(vaulttest.Record(1)), s.Put(id, blobs),
		s.Commit(id, vaulttest.Commit(id, vault.SnapshotID{}, 1, ids, nil), time.Unix(1, 0)), s.Close())
	if err != nil {
		t.Fatal(err)
	}
	return path, id
}

func TestTruncated(t *testing.T) {
	path, _ := filled(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int{0, 1, 4096, 16384, len(whole) / 3, len(whole) / 2} {
		short := filepath.Join(t.TempDir(), "short.db")
		if err := os.WriteFile(short, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(short, Options{Timeout: time.Second})
		if err == nil {
			err = s.Close()
			if cut > 0 {
				t.Errorf("a file cut to %d of %d bytes opened (%v)", cut, len(whole), err)
			}
		}
	}
}

// TestDamagedPages overwrites page after page and demands that nothing but
// errors comes of it: no panic, and no wrong bytes.
func TestDamagedPages(t *testing.T) {
	path, id := filled(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	dir := t.TempDir()
	for at := 2 * page; at < len(whole); at += max(page, (len(whole)/48)/page*page) {
		bad := bytes.Clone(whole)
		for i := at; i < min(at+page, len(bad)); i++ {
			bad[i] = 0xA5
		}
		p := filepath.Join(dir, "bad.db")
		if err := os.WriteFile(p, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		useDamaged(t, p, id)
		if err := os.Remove(p); err != nil {
			t.Fatal(err)
		}
	}
}

func useDamaged(t *testing.T, path string, id vault.VaultID) {
	t.Helper()
	s, err := Open(path, Options{Timeout: time.Second})
	if err != nil {
		return
	}
	defer s.Close()
	_, _ = s.Vaults()
	_, _ = s.Snapshots(id)
	for i := range 40 {
		b, err := s.Get(id, vault.BlobID{byte(i)})
		if err == nil && !bytes.Equal(b, bytes.Repeat([]byte{byte(i)}, 20_000)) {
			t.Fatalf("blob %d came back wrong", i)
		}
	}
}

func TestDamagedRecords(t *testing.T) {
	s := openTest(t, vault.Limits{})
	defer s.Close()
	a, b := vaulttest.Record(1), vaulttest.Record(2)
	c1 := vaulttest.Commit(a.ID, vault.SnapshotID{}, 1, nil, nil)
	c2 := vaulttest.Commit(a.ID, c1.Snapshot, 2, nil, nil)
	if err := errors.Join(s.Create(a), s.Create(b), s.Commit(a.ID, c1, time.Unix(1, 0)), s.Commit(a.ID, c2, time.Unix(2, 0))); err != nil {
		t.Fatal(err)
	}
	change(t, s, a.ID, bucketSnapshots, seqKey(1), flip)
	if all, err := s.Snapshots(a.ID); !errors.Is(err, vault.ErrDamaged) || len(all) != 1 || all[0].Seq != 2 {
		t.Errorf("got %d snapshots, %v", len(all), err)
	}
	change(t, s, a.ID, "", []byte(keyRecord), flip)
	if got, err := s.Vault(a.ID); err != nil || got.Owner != a.Owner {
		t.Errorf("there is a copy, and yet %+v, %v", got, err)
	}
	change(t, s, a.ID, "", []byte(keyRecordCopy), flip)
	if all, err := s.Vaults(); !errors.Is(err, vault.ErrDamaged) || len(all) != 1 || all[0].ID != b.ID {
		t.Errorf("got %d vaults, %v", len(all), err)
	}
	if _, err := s.Vault(a.ID); !errors.Is(err, vault.ErrDamaged) {
		t.Errorf("got %v", err)
	}
	if err := s.Update(a); err != nil {
		t.Errorf("cannot mend a record: %v", err)
	}
	if got, err := s.Vault(a.ID); err != nil || got.Owner != a.Owner {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestRecordIsMended damages either copy of a record; the other one mends it.
func TestRecordIsMended(t *testing.T) {
	s := openTest(t, vault.Limits{})
	defer s.Close()
	r := vaulttest.Record(1)
	if err := s.Create(r); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{keyRecord, keyRecordCopy, keyRecord} {
		change(t, s, r.ID, "", []byte(key), flip)
		if _, err := s.Mark(r.ID); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Vault(r.ID); err != nil || got.Owner != r.Owner {
			t.Errorf("got %+v, %v", got, err)
		}
	}
}

// TestDamagedBelowHead loses the newest record and one that others come after.
// The older stays, and so does every blob that it may name.
func TestDamagedBelowHead(t *testing.T) {
	s := openTest(t, vault.Limits{})
	defer s.Close()
	id := vaulttest.Record(1).ID
	blobs := []vault.StoredBlob{vaulttest.Blob(1), vaulttest.Blob(2)}
	ids := []vault.BlobID{blobs[0].ID, blobs[1].ID}
	c1 := vaulttest.Commit(id, vault.SnapshotID{}, 1, ids[:1], nil)
	c2 := vaulttest.Commit(id, c1.Snapshot, 2, nil, ids[:1])
	c3 := vaulttest.Commit(id, c2.Snapshot, 3, ids[1:], nil)
	err := errors.Join(s.Create(vaulttest.Record(1)), s.Put(id, blobs))
	for _, c := range []vault.Commit{c1, c2, c3} {
		err = errors.Join(err, s.Commit(id, c, time.Unix(1, 0)))
	}
	if err != nil {
		t.Fatal(err)
	}
	change(t, s, id, bucketSnapshots, seqKey(1), flip)
	change(t, s, id, bucketSnapshots, seqKey(3), flip)
	c3.Snapshot, c3.Add = vault.SnapshotID{33}, nil
	if err := errors.Join(s.Commit(id, c3, time.Unix(2, 0)), s.Unstage(id)); err != nil {
		t.Fatal(err)
	}
	if all, err := s.Snapshots(id); !errors.Is(err, vault.ErrDamaged) || len(all) != 2 || all[0].Snapshot != c3.Snapshot {
		t.Errorf("got %d snapshots, %v", len(all), err)
	}
	if missing, err := s.Missing(id, ids); err != nil || len(missing) > 0 {
		t.Errorf("missing %v, %v", missing, err)
	}
}

func TestClosed(t *testing.T) {
	s := openTest(t, vault.Limits{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Vaults(); err == nil {
		t.Fatal("a closed store answers")
	}
	if err := s.Close(); err != nil {
		t.Fatalf("closing twice: %v", err)
	}
}
