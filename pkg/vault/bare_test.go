package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// books is a small critical part.
func books() tree {
	tr := tree{}
	for i := range 60 {
		tr.file(fmt.Sprintf("service-books/net%d", i), fmt.Appendf(nil, "[wifi]\nssid=net%d\npsk=%x\n", i, noise(uint64(i), 20)))
		tr.file(fmt.Sprintf("keys/k%d", i), noise(uint64(1000+i), 300))
	}
	tr.file("keys/empty", nil)
	tr.link("keys/link", "k1")
	return tr
}

// TestSmallCriticalPartHasNoDigests: they are made of the packs, which whoever
// restores has at hand then.
func TestSmallCriticalPartHasNoDigests(t *testing.T) {
	b, tr := newBench(t), books()
	d := b.full(tr)
	e, _ := d.Entry("keys/k3")
	for _, ix := range d.parts[Critical].chain {
		packed, err := b.key.Open(KindIndex, b.vault, ix.id, b.shelf.blobs[ix.id])
		if err != nil {
			t.Fatal(err)
		}
		plain, err := decompress(packed, MaxIndex)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(plain, e.Digest[:]) {
			t.Error("the index holds a digest")
		}
	}
	again := b.load(b.last)
	b.verify(again, tr)
	if len(again.Held()) == 0 {
		t.Error("nothing is held of what was fetched")
	}
	for id, sealed := range again.Held() {
		if !bytes.Equal(sealed, b.shelf.blobs[id]) {
			t.Errorf("pack %s is held otherwise than it was fetched", id)
		}
	}
	if !slices.EqualFunc(again.Entries(), d.Entries(), Entry.same) {
		t.Error("the digests differ")
	}
}

// TestBareAfterChanges: deltas have digests, and what they replace needs no pack any more.
func TestBareAfterChanges(t *testing.T) {
	b, tr := newBench(t), books()
	d := b.full(tr)
	for i := range 20 {
		tr.file(fmt.Sprintf("keys/k%d", i), noise(uint64(2000+i), 400))
		_, d = b.incremental(d, tr)
	}
	again := b.load(b.last)
	b.verify(again, tr)
	if !slices.EqualFunc(again.Entries(), d.Entries(), Entry.same) {
		t.Error("the digests differ")
	}
	only, err := LoadCritical(context.Background(), b.key, b.vault, b.last.Snapshot, b.last.Header, b.shelf.fetch)
	if err != nil || only.Manifest().Len() != len(tr) {
		t.Errorf("%d items, %v", only.Manifest().Len(), err)
	}
}

// TestBareDamage: a pack that is lost, damaged or another costs its own items, and none besides.
func TestBareDamage(t *testing.T) {
	for name, spoil := range map[string]func(b *bench, id BlobID){
		"lost":    func(b *bench, id BlobID) { delete(b.shelf.blobs, id) },
		"flipped": func(b *bench, id BlobID) { b.shelf.blobs[id] = append(b.shelf.blobs[id][:60:60], noise(1, 60)...) },
	} {
		t.Run(name, func(t *testing.T) {
			b, tr := newBench(t), books()
			tr.file("user-data/x", []byte("untouched"))
			d := b.full(tr)
			e, _ := d.Entry("keys/k3")
			spoil(b, e.Extents[0].Pack)
			again := b.load(b.last)
			packs := NewPackReader(b.key, b.vault, b.shelf.one)
			got, _ := again.Entry("keys/k3")
			if got.Digest != (manifest.Digest{}) || got.Content(context.Background(), packs, &bytes.Buffer{}) == nil {
				t.Errorf("%+v is given out", got)
			}
			got, _ = again.Entry("user-data/x")
			if err := got.Content(context.Background(), packs, &bytes.Buffer{}); err != nil {
				t.Error(err)
			}
			if again.Held()[e.Extents[0].Pack] != nil {
				t.Error("a damaged pack is held")
			}
		})
	}
}

// TestBareSumIsProven: a writer that puts an item elsewhere than it says is found out.
func TestBareSumIsProven(t *testing.T) {
	b, tr := newBench(t), books()
	d := b.full(tr)
	e, _ := d.Entry("keys/k3")
	p := packProof{pack: e.Extents[0].Pack, spans: []span{{e.Extents[0].Off, e.Extents[0].Len}}}
	digests := make(map[Extent]manifest.Digest)
	if p.open(b.key, b.vault, b.shelf.blobs[p.pack], digests) || len(digests) > 0 {
		t.Error("contents pass without their sum")
	}
}

func TestLinkTroubleIsNoDamage(t *testing.T) {
	b := newBench(t)
	b.full(books())
	cut := errors.New("the link is cut")
	calls := 0
	_, err := LoadDataSet(context.Background(), b.key, b.vault, b.last.Snapshot, b.last.Header,
		func(ctx context.Context, ids []BlobID, got func(BlobID, []byte) error) error {
			if calls++; calls > 1 {
				return cut
			}
			return b.shelf.fetch(ctx, ids, got)
		})
	if !errors.Is(err, cut) {
		t.Errorf("%v, want %v", err, cut)
	}
}

// TestHeldIsNotFetchedAgain: in the order asked for, and only the rest from the reader.
func TestHeldIsNotFetchedAgain(t *testing.T) {
	b, tr := newBench(t), books()
	tr.file("user-data/x", []byte("bulk"))
	b.full(tr)
	d := b.load(b.last)
	all := slices.Concat(d.Blobs(Bulk), d.Blobs(Critical), d.Blobs(Bulk))
	var asked, got []BlobID
	fetch := d.FromHeld(func(ctx context.Context, ids []BlobID, got func(BlobID, []byte) error) error {
		asked = append(asked, ids...)
		return b.shelf.fetch(ctx, ids, got)
	})
	err := fetch(context.Background(), all, func(id BlobID, sealed []byte) error {
		if !bytes.Equal(sealed, b.shelf.blobs[id]) {
			t.Errorf("%s is another", id)
		}
		got = append(got, id)
		return nil
	})
	if err != nil || !slices.Equal(got, all) {
		t.Errorf("got %v of %v, %v", got, all, err)
	}
	for _, id := range asked {
		if d.Held()[id] != nil {
			t.Errorf("%s was fetched again", id)
		}
	}
}

// TestUnprovenIsNotWrittenDown: what nobody knows the contents of stays where it stands, and
// is refused where its index would be written anew.
func TestUnprovenIsNotWrittenDown(t *testing.T) {
	b, tr := newBench(t), books()
	d := b.full(tr)
	e, _ := d.Entry("keys/k3")
	id := e.Extents[0].Pack
	sealed := b.shelf.blobs[id]
	delete(b.shelf.blobs, id)
	base := b.load(b.last)
	if base.Unproven() == 0 {
		t.Fatal("all is known")
	}
	e, _ = base.Entry("keys/k3")
	keep := func(cfg WriterConfig, e Entry) error {
		w, err := NewWriter(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return w.Keep(e)
	}
	repack, lost := b.config(base, Incremental), b.config(base, Incremental)
	repack.Repack[Critical] = true
	lost.Lost = map[BlobID]bool{base.parts[Critical].chain[0].id: true}
	other := e
	other.Mode = 0o640
	for name, err := range map[string]error{
		"full": keep(b.config(base, Full), e), "repacked": keep(repack, e), "its index is lost": keep(lost, e),
		"with another mode": keep(b.config(base, Incremental), other),
	} {
		if !errors.Is(err, ErrUnproven) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w, err := NewWriter(b.config(base, Incremental))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range base.Entries() {
		if err := w.Keep(e); err != nil {
			t.Fatal(err)
		}
	}
	for i := range len(tr) { // more than half of what there is
		it := manifest.Item{Name: userdata.Name(fmt.Sprintf("keys/n%03d", i)), Class: userdata.Keys, Type: manifest.Symlink, Target: "x"}
		if _, err := w.Add(t.Context(), it, nil); err != nil {
			t.Fatal(err)
		}
		tr.link(string(it.Name), "x")
		tr[string(it.Name)] = testFile{item: it}
	}
	c, _, err := w.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.shelf.blobs[id] = sealed
	b.verify(b.load(c), tr)
}
