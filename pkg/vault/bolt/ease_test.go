package bolt_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/vault"
	"github.com/reprovision/reprovision/pkg/vault/bolt"
	"github.com/reprovision/reprovision/pkg/vault/vaulttest"
)

// mapped is how many kB of files are in this process's memory.
func mapped(t *testing.T) (kB int) {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("no /proc")
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "RssFile:"); ok {
			if _, err := fmt.Sscan(rest, &kB); err == nil {
				return kB
			}
		}
	}
	t.Skip("the kernel does not say")
	return 0
}

// TestMemoryStaysSmall stores and reads much more than may be in memory.
func TestMemoryStaysSmall(t *testing.T) {
	const blobs, size, most = 64, 1 << 20, 32 << 10 // the program itself is mapped, too
	s, err := bolt.Open(filepath.Join(t.TempDir(), "store.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	record := vaulttest.Record(1)
	if err := s.Create(record); err != nil {
		t.Fatal(err)
	}
	before, peak := mapped(t), 0
	id := func(n int) vault.BlobID { return vault.BlobID{byte(n), 1} }
	for n := range blobs {
		sealed := make([]byte, size)
		sealed[n] = 1
		if err := s.Put(record.ID, []vault.StoredBlob{{ID: id(n), Sealed: sealed}}); err != nil {
			t.Fatal(err)
		}
		peak = max(peak, mapped(t)-before)
	}
	for n := range blobs {
		sealed, err := s.Get(record.ID, id(n))
		if err != nil || len(sealed) != size || sealed[n] != 1 {
			t.Fatalf("blob %d: %d bytes, %v", n, len(sealed), err)
		}
		peak = max(peak, mapped(t)-before)
	}
	t.Logf("%d kB of the store's %d in memory at the most", peak, blobs*size>>10)
	if peak > most {
		t.Errorf("%d kB of the store in memory", peak)
	}
}

// TestMemoryStaysSmallInCommits commits blobs that are small, and many: each is looked up, and
// brings more into memory than it is large.
func TestMemoryStaysSmallInCommits(t *testing.T) {
	const blobs, size, most = 2048, 24 << 10, 20 << 10
	s, err := bolt.Open(filepath.Join(t.TempDir(), "store.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	record := vaulttest.Record(1)
	if err := s.Create(record); err != nil {
		t.Fatal(err)
	}
	var ids []vault.BlobID
	var group []vault.StoredBlob
	for n := range blobs {
		id := vault.BlobID{byte(n), byte(n >> 8), 1}
		ids, group = append(ids, id), append(group, vault.StoredBlob{ID: id, Sealed: make([]byte, size)})
		if len(group) == vault.MaxPutBlobs {
			if err := s.Put(record.ID, group); err != nil {
				t.Fatal(err)
			}
			group = nil
		}
	}
	for name, do := range map[string]func() error{
		"Missing": func() error { _, err := s.Missing(record.ID, ids); return err },
		"Commit": func() error {
			return s.Commit(record.ID, vault.Commit{Vault: record.ID, Snapshot: vault.SnapshotID{1}, Seq: 1, Header: make([]byte, 200), Add: ids}, time.Now())
		},
	} {
		before := mapped(t)
		if err := do(); err != nil {
			t.Fatal(err)
		}
		if more := mapped(t) - before; more > most {
			t.Errorf("%s leaves %d kB of the store's %d in memory", name, more, blobs*size>>10)
		}
	}
}
