package bolt

import (
	"bytes"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"

	"github.com/reprovision/reprovision/pkg/vault"
	"github.com/reprovision/reprovision/pkg/vault/vaulttest"
)

// beside makes a second vault with one blob.
func (s *sealed) beside() (vault.Record, vault.StoredBlob) {
	s.Helper()
	other := vaulttest.Record(2)
	s.must(s.store.Create(other))
	b := s.blob(99)
	s.must(s.store.Put(other.ID, []vault.StoredBlob{b}))
	return other, b
}

// secrets are bytes of all that the first vault holds.
func (s *sealed) secrets() [][]byte {
	s.Helper()
	out := [][]byte{s.key.Bytes()}
	for n := range 40 {
		stored, err := s.store.Get(s.r.ID, vault.BlobID{byte(n + 1)})
		s.must(err)
		out = append(out, bytes.Clone(stored[30:60]), bytes.Clone(stored[len(stored)-30:]))
	}
	return out
}

// traces counts what is found in a file.
func traces(raw []byte, secrets [][]byte) (found int) {
	for _, secret := range secrets {
		if bytes.Contains(raw, secret) {
			found++
		}
	}
	return found
}

// TestDeleteLeavesNothing deletes a vault: no byte of its slots and blobs is in the file,
// nor in the one that it had before. What another device has there stays.
func TestDeleteLeavesNothing(t *testing.T) {
	s := newSealed(t)
	other, kept := s.beside()
	before, err := os.Open(s.path)
	s.must(err)
	defer before.Close()
	secrets := s.secrets()
	raw, err := os.ReadFile(s.path)
	s.must(err)
	if n := traces(raw, secrets); n != len(secrets) {
		t.Fatalf("%d of %d are found before", n, len(secrets))
	}
	s.must(s.store.Delete(s.r.ID))
	after, err := os.ReadFile(s.path)
	s.must(err)
	old, err := io.ReadAll(before)
	s.must(err)
	if n, m := traces(after, secrets), traces(old, secrets); n+m > 0 || len(old) < len(raw) {
		t.Errorf("the store holds %d of them, the file before %d", n, m)
	}
	if _, err := s.store.Vault(s.r.ID); !errors.Is(err, vault.ErrNoVault) {
		t.Errorf("the vault: %v", err)
	}
	if got, err := s.store.Get(other.ID, kept.ID); err != nil || !bytes.Equal(got, kept.Sealed) {
		t.Errorf("the other vault's blob: %v", err)
	}
	s.must(s.store.Put(other.ID, []vault.StoredBlob{s.blob(98)})) // it is a store as before
}

// TestDeleteWithoutACopy cannot make another file, or cannot overwrite the old one: the
// vault is gone all the same, and the traces are told of.
func TestDeleteWithoutACopy(t *testing.T) {
	for name, spoil := range map[string]func(s *sealed){
		"no copy":      func(s *sealed) { s.must(os.MkdirAll(s.path+freshSuffix+"/x", 0o700)) },
		"no overwrite": func(s *sealed) { s.store.wipe = func(*os.File) error { return syscall.ENOSPC } },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSealed(t)
			other, kept := s.beside()
			spoil(s)
			if err := s.store.Delete(s.r.ID); !errors.Is(err, vault.ErrTraces) {
				t.Fatalf("got %v", err)
			}
			if _, err := s.store.Vault(s.r.ID); !errors.Is(err, vault.ErrNoVault) {
				t.Errorf("the vault: %v", err)
			}
			if got, err := s.store.Get(other.ID, kept.ID); err != nil || !bytes.Equal(got, kept.Sealed) {
				t.Errorf("the other vault's blob: %v", err)
			}
		})
	}
}
