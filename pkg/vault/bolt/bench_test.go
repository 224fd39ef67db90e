package bolt

import (
	"encoding/binary"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/vault"
)

// BenchmarkStore puts blobs of 1 MiB, four in a transaction as the reader does, and
// empties the store when it has some.
func BenchmarkStore(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "vault.db"), Options{Limits: vault.Limits{Bytes: -1}})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	id := vault.VaultID{1}
	if err := s.Create(vault.Record{ID: id, Created: time.Unix(1_700_000_000, 0)}); err != nil {
		b.Fatal(err)
	}
	body := make([]byte, 1<<20)
	if _, err := rand.NewChaCha8([32]byte{1}).Read(body); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(4 << 20)
	n := uint64(0)
	for b.Loop() {
		group := make([]vault.StoredBlob, 4)
		for i := range group {
			n++
			binary.BigEndian.PutUint64(group[i].ID[:], n)
			group[i].Sealed = body
		}
		if err := s.Put(id, group); err != nil {
			b.Fatal(err)
		}
		if n%64 == 0 {
			if err := s.Unstage(id); err != nil {
				b.Fatal(err)
			}
		}
	}
}
