package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// noise is bytes that do not compress, the same for the same seed.
func noise(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	b := make([]byte, n)
	_, _ = r.Read(b)
	return b
}

// text is bytes that compress as text does.
func text(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "word%d %s ", r.IntN(2000), []string{"alpha", "beta", "gamma"}[r.IntN(3)])
	}
	return b.Bytes()[:n]
}

func connection(i int) []byte {
	return fmt.Appendf(nil, "[connection]\nid=home-%d\nuuid=%x\ntype=wifi\n\n[wifi]\nssid=net%d\nmode=infrastructure\n\n"+
		"[wifi-security]\nkey-mgmt=wpa-psk\npsk=%x\n\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n", i, noise(uint64(i), 8), i, noise(uint64(i+900), 6))
}

func sampleTree() tree {
	tr := tree{}
	for i := range 40 {
		tr.file(fmt.Sprintf("service-books/net-%02d.nmconnection", i), connection(i))
	}
	tr.file("keys/id_ed25519", noise(1, 400))
	tr.file("preferences/app/settings.ini", []byte("a=1\n"))
	tr.file("preferences/empty", nil)
	tr.file("user-data/photo.jpg", noise(2, 700_000))
	tr.file("user-data/notes/todo.txt", text(3, 20_000))
	tr.link("user-data/latest", "notes/todo.txt")
	tr.dir("user-data/nothing-in-it")
	f := tr["keys/id_ed25519"]
	f.item.Xattrs = map[string][]byte{"user.b": {1, 0, 2}, "user.a": {}}
	tr["keys/id_ed25519"] = f
	return tr
}

func TestRoundTrip(t *testing.T) {
	b := newBench(t)
	tr := sampleTree()
	d := b.full(tr)
	b.verify(d, tr)
	loaded := b.load(b.last)
	b.verify(loaded, tr)
	if loaded.Header().Items != len(tr) || loaded.Header().Mode != Full {
		t.Errorf("header %+v", loaded.Header())
	}
	want := map[string]userdata.Class{
		"service-books": userdata.ServiceBooks, "keys": userdata.Keys, "preferences": userdata.Preferences, "user-data": userdata.UserData,
	}
	if !maps.Equal(loaded.Header().Roots, want) {
		t.Errorf("roots %v", loaded.Header().Roots)
	}
}

func TestAddReturnsWhatWasRead(t *testing.T) {
	b := newBench(t)
	w, err := NewWriter(b.config(nil, Full))
	if err != nil {
		t.Fatal(err)
	}
	it := manifest.Item{Name: "keys/k", Class: userdata.Keys, Type: manifest.File, Size: 999, Digest: manifest.Digest{1}}
	got, err := w.Add(context.Background(), it, openBytes([]byte("abc")))
	if err != nil {
		t.Fatal(err)
	}
	if got.Size != 3 || fmt.Sprintf("%x", got.Digest[:4]) != "ba7816bf" {
		t.Errorf("got size %d, digest %x", got.Size, got.Digest)
	}
}

func TestUnchangedIsEmpty(t *testing.T) {
	b := newBench(t)
	tr := sampleTree()
	d := b.full(tr)
	before := len(b.shelf.blobs)
	c, again := b.incremental(d, tr)
	if !c.Empty() || len(c.Add) > 0 || len(c.Drop) > 0 || len(b.shelf.blobs) != before {
		t.Fatalf("empty %v, %d added, %d dropped, %d put", c.Empty(), len(c.Add), len(c.Drop), len(b.shelf.blobs)-before)
	}
	b.verify(again, tr)

	root := tr["user-data"]
	root.item.MTime++ // says only that an entry came or went
	tr["user-data"] = root
	if c, _ := b.incremental(d, tr); !c.Empty() {
		t.Error("a directory's mtime counts as a change")
	}
	tr.file("user-data/new", nil)
	c, next := b.incremental(d, tr)
	for _, ds := range []*DataSet{next, b.load(c)} {
		if e, _ := ds.Entry("user-data"); e.MTime != root.item.MTime {
			t.Error("a new data set has a directory's old mtime")
		}
	}
}

func TestOneFileChanged(t *testing.T) {
	b := newBench(t)
	tr := sampleTree()
	d := b.full(tr)
	tr.file("service-books/net-07.nmconnection", append(connection(7), "metered=1\n"...))
	c, next := b.incremental(d, tr)
	if c.Empty() || len(c.Add) != 2 {
		t.Fatalf("%d blobs added, want a pack and an index", len(c.Add))
	}
	if size := b.shelf.size(c.Add) + len(c.Header); size > 1100 {
		t.Errorf("%d bytes for one small file", size)
	}
	if c.Parent != d.Header().Snapshot || c.Seq != 2 {
		t.Errorf("commit %+v", c)
	}
	b.verify(next, tr)
	b.verify(b.load(c), tr)
	if old := d.Blobs(Critical); !slices.Equal(c.Critical[:len(old)], old) {
		t.Error("the critical blobs of the snapshot before are not the start of the new list")
	}
	if !slices.Equal(next.Blobs(Bulk), d.Blobs(Bulk)) {
		t.Error("the other part changed")
	}
}

func TestMetadataOnly(t *testing.T) {
	b := newBench(t)
	tr := sampleTree()
	d := b.full(tr)
	f := tr["user-data/photo.jpg"]
	f.item.Mode = 0o640
	tr["user-data/photo.jpg"] = f
	c, next := b.incremental(d, tr)
	if len(c.Add) != 1 {
		t.Fatalf("%d blobs for a mode", len(c.Add))
	}
	b.verify(next, tr)
	b.verify(b.load(c), tr)
}

func TestRemovedRenamedRetyped(t *testing.T) {
	b := newBench(t)
	tr := sampleTree()
	d := b.full(tr)
	body := tr["user-data/photo.jpg"].body
	delete(tr, "user-data/photo.jpg")
	tr.file("user-data/album/renamed.jpg", body)
	delete(tr, "preferences/empty")
	tr.dir("preferences/empty")
	delete(tr, "user-data/latest")
	tr.file("user-data/latest", []byte("now a file"))
	c, next := b.incremental(d, tr)
	b.verify(next, tr)
	b.verify(b.load(c), tr)
	if size := b.shelf.size(c.Add); size > 1500 {
		t.Errorf("%d bytes: the renamed photo was stored again", size)
	}
}

func TestRootGoesAndMoves(t *testing.T) {
	b := newBench(t)
	tr := sampleTree()
	d := b.full(tr)
	for name := range maps.Clone(tr) {
		if userdata.Name(name).Root() == "keys" {
			delete(tr, name)
		}
	}
	for name, f := range tr {
		if f.item.Name.Root() == "preferences" { // now critical
			f.item.Class = userdata.ServiceBooks
			tr[name] = f
		}
	}
	c, next := b.incremental(d, tr)
	b.verify(next, tr)
	b.verify(b.load(c), tr)
	for name, f := range tr {
		if f.item.Name.Root() == "preferences" { // the same part, another class
			f.item.Class = userdata.Keys
			tr[name] = f
		}
	}
	c, next = b.incremental(next, tr)
	if c.Empty() {
		t.Fatal("another class is no change")
	}
	b.verify(next, tr)
	b.verify(b.load(c), tr)
	c, _ = b.incremental(next, tree{})
	if all := b.load(c); all.Manifest().Len() != 0 || len(all.allBlobs()) != 0 {
		t.Errorf("%d items, %d blobs after everything was removed", all.Manifest().Len(), len(all.allBlobs()))
	}
}

func TestInsertAtFront(t *testing.T) {
	b := newBench(t)
	tr := tree{}
	body := text(5, 4<<20)
	tr.file("user-data/big.txt", body)
	d := b.full(tr)
	first := b.shelf.size(b.last.Add)
	tr.file("user-data/big.txt", append(text(6, 4096), body...))
	c, next := b.incremental(d, tr)
	if size := b.shelf.size(c.Add); size > first/12 {
		t.Errorf("%d bytes for an insertion into a file stored in %d", size, first)
	}
	b.verify(next, tr)
	b.verify(b.load(c), tr)
}

func TestPartsShareNothing(t *testing.T) {
	b := newBench(t)
	tr := tree{}
	for _, root := range []string{"keys", "user-data"} {
		tr.file(root+"/same", text(1, 5000))
	}
	d := b.full(tr)
	c, next := b.incremental(d, tr)
	_ = c
	for _, ds := range []*DataSet{d, next} {
		if both := without(ds.Blobs(Critical), ds.Blobs(Bulk)); len(both) != len(ds.Blobs(Critical)) {
			t.Error("the parts share a blob")
		}
	}
	b.verify(d, tr)
}

func TestFullStandsAlone(t *testing.T) {
	b := newBench(t)
	tr := sampleTree()
	d := b.full(tr)
	c, next := b.write(b.config(d, Full), tr)
	if c.Empty() || c.Parent != d.Header().Snapshot {
		t.Fatalf("commit %+v", c)
	}
	if kept := without(d.allBlobs(), c.Drop); len(kept) > 0 {
		t.Errorf("%d blobs are shared with the snapshot before", len(kept))
	}
	b.verify(next, tr)
	b.verify(b.load(c), tr)
}

// TestRepeatedAfterInterruption breaks off a backup at each of its blobs and
// shows that repeating it makes the same ids up to there.
func TestRepeatedAfterInterruption(t *testing.T) {
	tr := sampleTree()
	for i := range 3 {
		tr.file(fmt.Sprintf("user-data/more/%d.bin", i), noise(uint64(50+i), 400_000))
	}
	for _, mode := range []Mode{Full, Incremental} {
		b := newBench(t)
		var base *DataSet
		if mode == Incremental {
			base = b.full(tree{"keys": sampleTree()["keys"]})
		}
		cfg := b.config(base, mode)
		var whole, broken []BlobID
		record := func(ids *[]BlobID, limit int) func(context.Context, Blob) error {
			return func(_ context.Context, blob Blob) error {
				if len(*ids) == limit {
					return errors.New("link lost")
				}
				*ids = append(*ids, blob.ID)
				return nil
			}
		}
		cfg.Put = record(&whole, -1)
		b.write(cfg, tr)
		for limit := range whole {
			broken = nil
			cfg.Put = record(&broken, limit)
			if err := tryWrite(cfg, tr); err == nil {
				t.Fatal("a failing Put went unnoticed")
			}
			if !slices.Equal(broken, whole[:limit]) {
				t.Fatalf("%s: other ids after %d blobs", mode, limit)
			}
		}
	}
}

func tryWrite(cfg WriterConfig, tr tree) error {
	w, err := NewWriter(cfg)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(tr)) {
		if _, err := w.Add(context.Background(), tr[name].item, openBytes(tr[name].body)); err != nil {
			if _, _, ferr := w.Finish(context.Background()); ferr == nil {
				return nil
			}
			return err
		}
	}
	_, _, err = w.Finish(context.Background())
	return err
}
