package device

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/reprovision/reprovision/pkg/reprovision"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// bulk puts files into the user data whose list takes some bytes.
func (r *rig) bulk(files int) {
	r.Helper()
	for range files {
		var name [60]byte
		_, _ = rand.Read(name[:])
		r.must(os.WriteFile(filepath.Join(r.d.cfg.Roots[1].Path, hex.EncodeToString(name[:])), name[:], 0o600))
	}
}

// has tells whether the device has such a file, and no other contents in it.
func (r *rig) has(root int, name, contents string) bool {
	got, err := os.ReadFile(filepath.Join(r.d.cfg.Roots[root].Path, name))
	return err == nil && string(got) == contents
}

// brittle is a line that breaks after some bytes were read from it.
type brittle struct {
	net.Conn
	left *atomic.Int64
}

func (b brittle) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if b.left.Add(-int64(n)) < 0 {
		return 0, errors.Join(net.ErrClosed, b.Close())
	}
	return n, err
}

// takeOver takes over the vault that the reader has for the device.
func (r *rig) takeOver() error {
	_, others, err := r.d.find(r.Context(), r.session, vault.VaultID{})
	r.must(err)
	if len(others) != 1 {
		r.Fatalf("vaults %+v", others)
	}
	_, err = r.d.restore(r.Context(), &restoreRun{Daemon: r.d, lasting: rankMend, from: &others[0], takesOver: true, confirmed: true})
	return err
}

// TestFirstTheNetwork restores to a device that has nothing, from a reader that cannot give
// the list of the user data: the keys are there all the same, and the rest comes later.
func TestFirstTheNetwork(t *testing.T) {
	r := newRigOf(t, "keys", "user-data")
	r.write("a", "contents")
	r.bulk(3)
	r.must(os.WriteFile(filepath.Join(r.d.cfg.Roots[1].Path, "b"), []byte("bulk"), 0o600))
	r.backUp()
	rest := r.d.book.current().Header().Index[vault.Bulk]
	r.replace()
	sound := true
	r.reader.get = func(q session.BlobQuery) error {
		if !sound && slices.ContainsFunc(q.IDs, func(id session.ID) bool { return slices.Contains(rest, vault.BlobID(id)) }) {
			return session.ErrDamaged
		}
		return nil
	}
	sound = false
	if err := r.takeOver(); err == nil {
		t.Error("all is said to be there")
	}
	if !r.has(0, "a", "contents") {
		t.Error("the keys are not there")
	}
	if r.d.book.current() != nil {
		t.Error("what is not known is the reference")
	}
	sound = true
	r.d.resume(t.Context())
	r.d.menders.Wait()
	if !r.has(1, "b", "bulk") {
		t.Error("the user data are not there")
	}
	if ds := r.d.book.current(); ds == nil || !ds.Complete() {
		t.Error("there is no reference")
	}
	if jobs, err := r.d.state.jobs(); err != nil || len(jobs) > 0 {
		t.Errorf("jobs %+v, %v", jobs, err)
	}
}

// TestLoadGoesOn cuts the link in the middle of a list of items. What has come is not
// sent again, and not kept in the end.
func TestLoadGoesOn(t *testing.T) {
	r := newRigOf(t, "keys", "user-data")
	r.write("a", "contents")
	r.bulk(600)
	r.backUp()
	v, _, err := r.d.own()
	r.must(err)
	head := *r.mine().Head
	received := func() uint64 { return r.session.BytesReceived() }
	before := received()
	want, err := r.d.load(t.Context(), r.session, v, head)
	r.must(err)
	uncut := received() - before
	if uncut < 40_000 {
		t.Fatalf("the list takes %d bytes", uncut)
	}
	var left atomic.Int64
	r.line = func(c net.Conn) net.Conn { return brittle{c, &left} }
	left.Store(1 << 20)
	r.session = r.dial()
	left.Store(int64(uncut) * 2 / 3)
	if _, err := r.d.load(t.Context(), r.session, v, head); !errors.Is(err, reprovision.ErrInterrupted) {
		t.Fatalf("cut: %v", err)
	}
	left.Store(1 << 20)
	r.session = r.dial()
	before = received()
	got, err := r.d.load(t.Context(), r.session, v, head)
	r.must(err)
	if again := received() - before; again > uncut/2 {
		t.Errorf("%d bytes after the cut, %d without one", again, uncut)
	}
	if !slices.EqualFunc(got.Entries(), want.Entries(), func(a, b vault.Entry) bool { return a.Item.Equal(b.Item) }) {
		t.Error("the lists differ")
	}
	if _, err := os.Stat(filepath.Join(r.d.cfg.StateDir, indexDir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was kept stays: %v", err)
	}
}

// TestSpoiledLoad does without what is not as it was kept.
func TestSpoiledLoad(t *testing.T) {
	r := newRigOf(t, "keys", "user-data")
	r.write("a", "contents")
	r.bulk(3)
	r.backUp()
	v, _, err := r.d.own()
	r.must(err)
	head := *r.mine().Head
	if _, err := r.d.loadFirst(t.Context(), r.session, v, head); err != nil {
		t.Fatal(err)
	}
	kept, err := filepath.Glob(filepath.Join(r.d.cfg.StateDir, indexDir, "*", "*"))
	if err != nil || len(kept) == 0 {
		t.Fatalf("nothing is kept, %v", err)
	}
	for i, path := range kept {
		raw, err := os.ReadFile(path)
		r.must(err)
		r.must(os.WriteFile(path, raw[:len(raw)/(i+1)-1], 0o600))
	}
	ds, err := r.d.load(t.Context(), r.session, v, head)
	if err != nil || ds.Manifest().Len() != r.d.book.current().Manifest().Len() {
		t.Errorf("%v", err)
	}
}
