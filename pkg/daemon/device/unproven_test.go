package device

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// stored is a blob as the reader has it.
func (r *rig) stored(id vault.BlobID) []byte {
	r.Helper()
	var out []byte
	r.must(r.session.Get(r.Context(), session.BlobQuery{Vault: r.mine().ID, IDs: plain([]vault.BlobID{id})}, func(b session.Blob) error {
		out = b.Data
		return nil
	}))
	return out
}

// flip damages what the reader has stored, on its medium, or mends it again.
func (r *rig) flip(sealed []byte) {
	r.Helper()
	f, err := os.OpenFile(filepath.Join(r.dir, "reader", "vault.db"), os.O_RDWR, 0)
	r.must(err)
	raw, err := os.ReadFile(f.Name())
	r.must(err)
	tail := sealed[len(sealed)/2:]
	found := 0
	for at := 0; ; found++ {
		n := bytes.Index(raw[at:], tail[1:])
		if n < 0 {
			break
		}
		at += n
		_, err = f.WriteAt([]byte{raw[at-1] ^ 1}, int64(at-1))
		r.must(err)
		at++
	}
	if r.must(f.Close()); found == 0 {
		r.Fatal("the blob is not found on the medium")
	}
}

// forgets has the device lose all it knows but its keys.
func (r *rig) forgets() {
	r.Helper()
	_ = r.session.Close()
	r.must(os.Remove(filepath.Join(r.dir, "device", "state.db")))
	r.d = r.newDevice(filepath.Join(r.dir, "device"), filepath.Join(r.dir, "phone"))
	r.pair(filepath.Join(r.dir, "reader"))
}

// TestUnreadablePackAtLoad damages a pack at the reader before a device, which has lost its
// reference, loads the list of what is saved. What the device still has is sent again; what it
// has not is back once the pack can be read again, whatever was saved meanwhile.
func TestUnreadablePackAtLoad(t *testing.T) {
	for name, full := range map[string]bool{"incremental": false, "full": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			for _, n := range []string{"a", "b", "c"} {
				r.write(n, "the contents of "+n)
			}
			r.backUp()
			first := r.d.book.current().Header().Snapshot
			packs := r.d.book.current().Packs("keys/a")
			sealed := r.stored(packs[0])
			r.forgets()
			r.must(os.Remove(filepath.Join(r.d.cfg.Roots[0].Path, "c")))
			r.flip(sealed)
			saved, err := r.d.Backup(t.Context(), full)
			r.must(err)
			t.Logf("%+v", saved)
			r.write("d", "new")
			r.backUp()
			r.flip(sealed)
			newest := vault.SnapshotID(r.mine().Head.ID)
			r.replace()
			r.must(r.takeOver())
			for _, n := range []string{"a", "b"} {
				if !r.has(0, n, "the contents of "+n) {
					t.Errorf("%s is lost", n)
				}
			}
			ds := r.d.book.current()
			if ds == nil || ds.Header().Snapshot != newest || newest == first {
				t.Fatal("not the newest snapshot")
			}
			if _, listed := ds.Entry("keys/c"); listed != r.has(0, "c", "the contents of c") {
				t.Error("c is listed, and lost")
			} else if !listed && len(saved.Skipped) == 0 && len(saved.Held) == 0 {
				t.Error("c is lost, and nobody was told")
			}
		})
	}
}
