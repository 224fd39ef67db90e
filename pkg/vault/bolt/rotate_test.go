package bolt

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/vault"
	"github.com/reprovision/reprovision/pkg/vault/vaulttest"
)

// sealed is a vault with real seals in it.
type sealed struct {
	*testing.T
	store *Store
	path  string
	key   vault.Key
	r     vault.Record
	head  vault.SnapshotRecord
}

func newSealed(t *testing.T) *sealed {
	t.Helper()
	s := &sealed{T: t, path: filepath.Join(t.TempDir(), "vault.db"), r: vaulttest.Record(1)}
	var err error
	if s.store, err = Open(s.path, Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.store.Close() })
	s.key = s.ages(1)
	s.r.Slots = []vault.Slot{{Kind: "reader", Data: s.key.Bytes()}}
	s.must(s.store.Create(s.r))
	var blobs []vault.StoredBlob
	for n := range 40 {
		blobs = append(blobs, s.blob(byte(n+1)))
	}
	s.must(s.store.Put(s.r.ID, blobs))
	c := vaulttest.Commit(s.r.ID, vault.SnapshotID{}, 1, nil, nil)
	if c.Header, err = s.key.Seal(vault.KindHeader, s.r.ID, vault.BlobID(c.Snapshot), []byte("header")); err != nil {
		t.Fatal(err)
	}
	for _, b := range blobs[:39] { // the last one stays staged
		c.Add = append(c.Add, b.ID)
	}
	s.must(s.store.Commit(s.r.ID, c, time.Unix(1, 0)))
	return s
}

func (s *sealed) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *sealed) ages(n int) vault.Key {
	s.Helper()
	var keys [][]byte
	for i := range n {
		keys = append([][]byte{bytes.Repeat([]byte{0xc0 + byte(i)}, vault.KeySize)}, keys...)
	}
	k, err := vault.KeyOfAges(keys)
	s.must(err)
	return k
}

func (s *sealed) blob(n byte) vault.StoredBlob {
	s.Helper()
	id := vault.BlobID{n}
	b, err := s.key.Seal(vault.KindPack, s.r.ID, id, bytes.Repeat([]byte{n}, 5000))
	s.must(err)
	return vault.StoredBlob{ID: id, Sealed: b}
}

// opens checks that a key opens all that the store holds.
func (s *sealed) opens(key vault.Key) {
	s.Helper()
	list, err := s.store.Snapshots(s.r.ID)
	s.must(err)
	if len(list) != 1 || len(list[0].Blobs) != 39 {
		s.Fatalf("%d snapshots", len(list))
	}
	s.head = list[0]
	header, err := key.Open(vault.KindHeader, s.r.ID, vault.BlobID(s.head.Snapshot), s.head.Header)
	if err != nil || string(header) != "header" {
		s.Errorf("header: %v", err)
	}
	var total int64
	for n := range 40 {
		id := vault.BlobID{byte(n + 1)}
		stored, err := s.store.Get(s.r.ID, id)
		s.must(err)
		plain, err := key.Open(vault.KindPack, s.r.ID, id, stored)
		if err != nil || len(plain) != 5000 {
			s.Errorf("blob %d: %v", n, err)
		}
		if n < 39 {
			total += int64(len(stored))
		}
	}
	if s.head.Bytes != total {
		s.Errorf("the snapshot counts %d bytes, and has %d", s.head.Bytes, total)
	}
}

// TestRotate rotates twice. Nothing of the key that lay in the reader slot, nor of
// any blob or header as it was sealed before, is in any byte of the file; and the
// store goes on as before, also after it is opened again.
func TestRotate(t *testing.T) {
	s := newSealed(t)
	other := vaulttest.Record(2)
	s.must(s.store.Create(other))
	s.must(s.store.Put(other.ID, []vault.StoredBlob{s.blob(99)}))
	s.opens(s.key)
	old := [][]byte{s.key.Bytes(), s.head.Header[:40]}
	for n := range 40 {
		b, err := s.store.Get(s.r.ID, vault.BlobID{byte(n + 1)})
		s.must(err)
		old = append(old, b[:40], b[len(b)-40:])
	}
	s.r.Slots = []vault.Slot{{Kind: "passcode", Data: []byte("sealed")}}
	for n := 2; n <= 3; n++ {
		rot := vault.Rotation{Wrap: s.ages(n).Outer()}
		if n > 2 {
			rot.Strip = []vault.Outer{s.ages(n - 1).Outer()}
		}
		s.must(s.store.Rotate(s.r, rot))
		s.opens(s.ages(n))
	}
	raw, err := os.ReadFile(s.path)
	s.must(err)
	for _, b := range old {
		if bytes.Contains(raw, b) {
			t.Fatalf("%x is still in the file", b[:8])
		}
	}
	if got, err := s.store.Get(other.ID, vault.BlobID{99}); err != nil || got[0] != 1 {
		t.Errorf("another vault: %v", err)
	}
	s.must(s.store.Put(s.r.ID, []vault.StoredBlob{s.blob(50)}))
	s.must(s.store.Unstage(s.r.ID))
	s.must(s.store.Close())
	s.must(os.WriteFile(s.path+freshSuffix, []byte("cut short"), 0o600))
	s.store, err = Open(s.path, Options{})
	s.must(err)
	if r, err := s.store.Vault(s.r.ID); err != nil || len(r.Slots) != 1 || r.Slots[0].Kind != "passcode" || !r.Created.Equal(s.r.Created) {
		t.Errorf("record %v, %v", r, err)
	}
	if info, err := os.Stat(s.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if _, err := os.Stat(s.path + freshSuffix); err == nil {
		t.Error("what a rotation left behind is still there")
	}
	s.usage(39)
}

// usage compares what the store believes that it holds.
func (s *sealed) usage(blobs int64) {
	s.Helper()
	s.must(s.store.Unstage(s.r.ID))
	err := s.store.Put(s.r.ID, []vault.StoredBlob{s.blob(60)})
	s.must(err)
	s.store.limits = vault.Limits{Vaults: -1, Blobs: int(blobs) + 1, Bytes: -1}
	if err := s.store.Put(s.r.ID, []vault.StoredBlob{s.blob(61)}); err == nil {
		s.Error("the count of blobs is too low")
	}
	s.store.limits = vault.Limits{Vaults: -1, Blobs: -1, Bytes: -1}
	s.must(s.store.Unstage(s.r.ID))
}

// TestRotateRefused leaves everything as it was where a blob cannot be rewrapped, and
// for a vault that is not there.
func TestRotateRefused(t *testing.T) {
	s := newSealed(t)
	s.must(s.store.Rotate(s.r, vault.Rotation{Wrap: s.ages(2).Outer()}))
	if err := s.store.Rotate(s.r, vault.Rotation{Wrap: s.ages(3).Outer()}); err == nil {
		t.Error("rotated without the key of the layer that is there")
	}
	s.opens(s.ages(2))
	if err := s.store.Rotate(vaulttest.Record(7), vault.Rotation{}); err == nil {
		t.Error("rotated a vault that is not there")
	}
	if _, err := os.Stat(s.path + freshSuffix); err == nil {
		t.Error("a file was left behind")
	}
	s.must(s.store.Rotate(s.r, vault.Rotation{})) // slots only
	s.opens(s.ages(2))
}

// TestRotateWithoutRoom: where the new file cannot be made, all stays as it was.
func TestRotateWithoutRoom(t *testing.T) {
	s := newSealed(t)
	s.must(os.MkdirAll(filepath.Join(s.path+freshSuffix, "full"), 0o700))
	if err := s.store.Rotate(s.r, vault.Rotation{Wrap: s.ages(2).Outer()}); err == nil {
		t.Error("rotated")
	}
	s.opens(s.key)
}

// TestAdoptOfAnotherRotation takes up a card of a reader at which the key was rotated:
// the blobs that are here stay as they are, and the newest key opens all.
func TestAdoptOfAnotherRotation(t *testing.T) {
	s := newSealed(t)
	s.opens(s.key)
	elsewhere := vault.Rotation{Wrap: s.ages(3).Outer()}
	p := vault.Portable{Record: s.r, Snapshot: s.head}
	p.Record.Owner, p.Snapshot.Seq, p.Snapshot.Snapshot, p.Snapshot.Parent = "", 2, vault.SnapshotID{2}, s.head.Snapshot
	p.Snapshot.Blobs, p.Snapshot.Bytes, p.Snapshot.Critical = nil, 0, []vault.BlobID{{1}, {77}}
	for _, b := range []vault.StoredBlob{{ID: vault.BlobID{1}}, s.blob(77)} {
		if b.Sealed == nil {
			stored, err := s.store.Get(s.r.ID, b.ID)
			s.must(err)
			b.Sealed = stored
		}
		wrapped, err := elsewhere.Blob(s.r.ID, b.ID, b.Sealed)
		s.must(err)
		p.Blobs = append(p.Blobs, vault.StoredBlob{ID: b.ID, Sealed: wrapped})
	}
	s.must(s.store.Rotate(s.r, vault.Rotation{Wrap: s.ages(2).Outer()}))
	s.must(s.store.Adopt(p))
	for _, id := range p.Snapshot.Critical {
		stored, err := s.store.Get(s.r.ID, id)
		s.must(err)
		if _, err := s.ages(3).Open(vault.KindPack, s.r.ID, id, stored); err != nil {
			t.Errorf("blob %s: %v", id, err)
		}
	}
}

// TestTraces cannot overwrite the old file: the rotation is done all the same, and says so.
func TestTraces(t *testing.T) {
	s := newSealed(t)
	s.store.wipe = func(*os.File) error { return syscall.ENOSPC }
	next := s.r
	next.Slots = []vault.Slot{{Kind: "passcode", Data: []byte("sealed")}}
	err := s.store.Rotate(next, vault.Rotation{Wrap: s.ages(2).Outer()})
	if !errors.Is(err, vault.ErrTraces) {
		t.Fatalf("got %v", err)
	}
	got, err := s.store.Vault(s.r.ID)
	s.must(err)
	if len(got.Slots) != 1 || got.Slots[0].Kind != "passcode" {
		t.Errorf("slots %v", got.Slots)
	}
	list, err := s.store.Snapshots(s.r.ID)
	s.must(err)
	if _, err := s.ages(2).Open(vault.KindHeader, s.r.ID, vault.BlobID(list[0].Snapshot), list[0].Header); err != nil {
		t.Errorf("the new key: %v", err)
	}
}

// TestRotatePastAFalseLayer stores a blob that pretends to have an outer layer, and gives
// a snapshot such a header: everything else is rotated, and the blob is damaged and can
// be sent again. Where no layer opens, headers' neither, the keys are wrong, and nothing is changed.
func TestRotatePastAFalseLayer(t *testing.T) {
	s := newSealed(t)
	id := vault.BlobID{77}
	made := s.blob(77)
	good := bytes.Clone(made.Sealed)
	made.Sealed[0] = 2
	s.must(s.store.Put(s.r.ID, []vault.StoredBlob{made}))
	c := vaulttest.Commit(s.r.ID, vaulttest.Commit(s.r.ID, vault.SnapshotID{}, 1, nil, nil).Snapshot, 2, nil, nil)
	c.Header, c.Add = bytes.Clone(made.Sealed), []vault.BlobID{id}
	for n := 2; n <= 3; n++ {
		rot := vault.Rotation{Wrap: s.ages(n).Outer()}
		if n > 2 {
			rot.Strip = []vault.Outer{s.ages(n - 1).Outer()}
			c.Add = nil
			s.must(s.store.Commit(s.r.ID, c, time.Unix(2, 0)))
		}
		s.must(s.store.Rotate(s.r, rot))
		if _, err := s.store.Get(s.r.ID, id); !errors.Is(err, vault.ErrDamaged) {
			t.Fatalf("rotation %d: the false blob: %v", n, err)
		}
		for i := range 40 {
			whole := vault.BlobID{byte(i + 1)}
			stored, err := s.store.Get(s.r.ID, whole)
			s.must(err)
			if _, err := s.ages(n).Open(vault.KindPack, s.r.ID, whole, stored); err != nil {
				t.Fatalf("rotation %d: %v", n, err)
			}
		}
		if n == 2 {
			continue
		}
		if list, err := s.store.Snapshots(s.r.ID); err != nil || len(list) != 2 || !bytes.Equal(list[0].Header, made.Sealed) {
			t.Fatalf("rotation %d: %d snapshots, %v", n, len(list), err)
		}
	}
	s.must(s.store.Put(s.r.ID, []vault.StoredBlob{{ID: id, Sealed: good}}))
	if got, err := s.store.Get(s.r.ID, id); err != nil || !bytes.Equal(got, good) {
		t.Errorf("sent again: %v", err)
	}

	wrapped := newSealed(t)
	wrapped.must(wrapped.store.Rotate(wrapped.r, vault.Rotation{Wrap: wrapped.ages(2).Outer()}))
	err := wrapped.store.Rotate(wrapped.r, vault.Rotation{Wrap: wrapped.ages(3).Outer()})
	if !errors.Is(err, vault.ErrSealBroken) {
		t.Errorf("with no key that opens anything: %v", err)
	}
	wrapped.opens(wrapped.ages(2))
}
