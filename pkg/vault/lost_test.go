package vault

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"testing"
)

// TestEveryLostBlobIsReplaced loses each blob of a data set in turn. Writing once more, with
// nothing changed, brings everything back.
func TestEveryLostBlobIsReplaced(t *testing.T) {
	b := newBench(t)
	tr := sampleTree()
	base := b.full(tr)
	first := base.Header().Snapshot
	tr.file("keys/new", noise(77, 900))
	tr.file("user-data/new", text(78, 9000))
	_, base = b.incremental(base, tr)
	tr.file("user-data/newer", text(79, 9000))
	_, base = b.incremental(base, tr)
	head := b.last
	stored, again := maps.Clone(b.shelf.blobs), 0
	for _, lost := range base.Sizes() {
		b.shelf.blobs = maps.Clone(stored)
		delete(b.shelf.blobs, lost.ID)
		cfg := b.config(base, Incremental)
		cfg.Lost, cfg.Salts = map[BlobID]bool{lost.ID: true}, []SnapshotID{{9}, first}
		c, d := b.write(cfg, tr)
		if c.Empty() { // made just as it was
			again++
			c, d = head, base
		}
		if _, is := b.shelf.blobs[lost.ID]; is != (c == head) {
			t.Errorf("blob %s is there: %v, and there is a new commit: %v", lost.ID, is, c != head)
		}
		b.verify(d, tr)
		b.verify(b.load(c), tr)
		b.seq = head.Seq
	}
	if packs := len(base.Sizes()) - len(base.parts[Critical].chain) - len(base.parts[Bulk].chain); again != packs {
		t.Errorf("%d of %d packs came out as they were", again, packs)
	}
}

// TestProof opens every blob of a data set, and finds each flipped byte.
func TestProof(t *testing.T) {
	b := newBench(t)
	tr := sampleTree()
	d := b.full(tr)
	p := NewProof(b.key, d)
	matched := make(map[string]bool)
	for _, blob := range d.Sizes() {
		names, err := p.Blob(blob.ID, b.shelf.blobs[blob.ID])
		if err != nil {
			t.Error(err)
		}
		for _, n := range names {
			matched[string(n)] = true
		}
		bad := bytes.Clone(b.shelf.blobs[blob.ID])
		bad[len(bad)/2] ^= 1
		if _, err := p.Blob(blob.ID, bad); !errors.Is(err, ErrSealBroken) {
			t.Errorf("a flipped byte gives %v", err)
		}
	}
	for name, f := range tr {
		if len(f.body) > 0 && !matched[name] {
			t.Errorf("%s was not looked at", name)
		}
	}
	other := d.Sizes()
	if _, err := p.Blob(other[0].ID, b.shelf.blobs[other[1].ID]); err == nil {
		t.Error("one blob passes for another")
	}
	// What opens, and is not what the data set says.
	at := slices.IndexFunc(d.extents, func(x []Extent) bool { return len(x) == 1 })
	d.items.Items()[at].Digest[0] ^= 1
	pack := d.extents[at][0].Pack
	if _, err := NewProof(b.key, d).Blob(pack, b.shelf.blobs[pack]); !errors.Is(err, ErrDigest) {
		t.Errorf("got %v", err)
	}
}
