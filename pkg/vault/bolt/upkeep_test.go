package bolt

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/vault"
	"github.com/reprovision/reprovision/pkg/vault/vaulttest"
)

// TestDamagedUsage damages the note of what a vault holds: it is counted anew, and
// nobody is kept from storing.
func TestDamagedUsage(t *testing.T) {
	s := openTest(t, vault.Limits{})
	defer s.Close()
	id := vaulttest.Record(1).ID
	one, two := vaulttest.Blob(1), vaulttest.Blob(2)
	if err := errors.Join(s.Create(vaulttest.Record(1)), s.Put(id, []vault.StoredBlob{one})); err != nil {
		t.Fatal(err)
	}
	change(t, s, id, "", []byte(keyUsage), flip)
	if err := s.Put(id, []vault.StoredBlob{two}); err != nil {
		t.Fatal(err)
	}
	want := vault.Usage{Blobs: 2, Bytes: int64(len(one.Sealed) + len(two.Sealed))}
	if got, err := s.Usage(id); err != nil || got != want {
		t.Errorf("usage %+v, %v, want %+v", got, err, want)
	}
	// One that reads, and is wrong all the same.
	change(t, s, id, "", []byte(keyUsage), func(v []byte) { copy(v, sum(make([]byte, 16))) })
	if _, err := s.Mark(id); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Usage(id); err != nil || got != want {
		t.Errorf("usage %+v, %v, want %+v", got, err, want)
	}
}

// thinned makes a store of which most is free, and returns what is left.
func thinned(t *testing.T) (*Store, vault.VaultID, []vault.StoredBlob) {
	t.Helper()
	s := openTest(t, vault.Limits{})
	s.compactFree = 0
	id := vaulttest.Record(1).ID
	var ids []vault.BlobID
	var keep []vault.StoredBlob
	if err := s.Create(vaulttest.Record(1)); err != nil {
		t.Fatal(err)
	}
	for i := range byte(40) {
		b := vault.StoredBlob{ID: vault.BlobID{i, 5}, Sealed: bytes.Repeat([]byte{i}, 100_000)}
		if err := s.Put(id, []vault.StoredBlob{b}); err != nil {
			t.Fatal(err)
		}
		if ids = append(ids, b.ID); i%8 == 0 {
			keep = append(keep, b)
		}
	}
	first := vaulttest.Commit(id, vault.SnapshotID{}, 1, ids, nil)
	var drop []vault.BlobID
	for i, b := range ids {
		if i%8 != 0 {
			drop = append(drop, b)
		}
	}
	err := errors.Join(s.Commit(id, first, time.Unix(1, 0)),
		s.Commit(id, vaulttest.Commit(id, first.Snapshot, 2, nil, drop), time.Unix(2, 0)), s.Remove(id, []uint64{1}))
	m, merr := s.Mark(id)
	if err = errors.Join(err, merr, s.Sweep(m)); err != nil || len(m.Garbage) != 35 {
		t.Fatal(err, len(m.Garbage))
	}
	return s, id, keep
}

func wantBlobs(t *testing.T, s *Store, id vault.VaultID, want []vault.StoredBlob) {
	t.Helper()
	for _, b := range want {
		if got, err := s.Get(id, b.ID); err != nil || !bytes.Equal(got, b.Sealed) {
			t.Errorf("blob %s: %v", b.ID, err)
		}
	}
	if all, err := s.Snapshots(id); err != nil || len(all) != 1 {
		t.Errorf("%d snapshots, %v", len(all), err)
	}
}

// TestCompact gives space back, and what is left goes on as before, in this
// process and in the next.
func TestCompact(t *testing.T) {
	s, id, keep := thinned(t)
	path := s.path
	freed, err := s.Compact(context.Background())
	if err != nil || freed < 2_000_000 {
		t.Fatalf("freed %d bytes, %v", freed, err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 2_000_000 || info.Mode().Perm() != 0o600 {
		t.Errorf("%+v, %v", info, err)
	}
	wantBlobs(t, s, id, keep)
	if _, err := Open(path, Options{Timeout: 20 * time.Millisecond}); !errors.Is(err, ErrLocked) {
		t.Errorf("the compact store is not locked: %v", err)
	}
	more := vaulttest.Blob(77)
	if err := errors.Join(s.Put(id, []vault.StoredBlob{more}), s.Close()); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(path, Options{}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	wantBlobs(t, s, id, append(keep, more))
	if freed, err := s.Compact(context.Background()); freed != 0 || err != nil {
		t.Errorf("compacted for nothing: %d bytes, %v", freed, err)
	}
}

// TestCompactGivesWay stops for a context, and for whoever writes.
func TestCompactGivesWay(t *testing.T) {
	s, id, keep := thinned(t)
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if freed, err := s.Compact(ctx); freed != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("freed %d bytes, %v", freed, err)
	}
	to, err := openFile(s.path+compactSuffix, time.Second, true)
	if err != nil {
		t.Fatal(err)
	}
	made, err := s.copyTo(&copier{ctx: t.Context(), to: to})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(id, []vault.StoredBlob{vaulttest.Blob(9)}); err != nil {
		t.Fatal(err)
	}
	if err := s.replaceBy(to, s.path+compactSuffix, made); !errors.Is(err, errOvertaken) {
		t.Errorf("got %v", err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	wantBlobs(t, s, id, append(keep, vaulttest.Blob(9)))
}

// TestOpenFollowsTheName opens a store that another process compacts meanwhile.
func TestOpenFollowsTheName(t *testing.T) {
	s, id, keep := thinned(t)
	opened := make(chan *Store, 1)
	go func() {
		other, err := Open(s.path, Options{Timeout: 30 * time.Second})
		if err != nil {
			t.Error(err)
		}
		opened <- other
	}()
	time.Sleep(50 * time.Millisecond) // most likely it waits for the lock now
	if _, err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(id, []vault.StoredBlob{vaulttest.Blob(9)}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	other := <-opened
	if other == nil {
		return
	}
	defer other.Close()
	wantBlobs(t, other, id, append(keep, vaulttest.Blob(9)))
}
