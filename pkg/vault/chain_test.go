package vault

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// TestChainStaysShort makes many small backups and looks at what a loader
// would have to read.
func TestChainStaysShort(t *testing.T) {
	b := newBench(t)
	tr := sampleTree()
	d := b.full(tr)
	fulls := 0
	for i := range 40 {
		tr.file("service-books/net-03.nmconnection", connection(1000+i))
		before := d.Blobs(Critical)
		c, next := b.incremental(d, tr)
		chain := next.parts[Critical].chain
		if len(chain) > maxDeltas+1 {
			t.Fatalf("a chain of %d", len(chain))
		}
		if len(chain) == 1 {
			fulls++
		} else {
			old := without(before, c.Drop) // what is left keeps its order, what is new stands last
			if got := next.Blobs(Critical); !slices.Equal(got[:len(old)], old) {
				t.Fatalf("backup %d: the blobs are out of order", i)
			}
		}
		d = next
		if got := b.load(c); !slices.Equal(got.Blobs(Critical), d.Blobs(Critical)) {
			t.Fatalf("backup %d: the loaded data set has its blobs in another order", i)
		}
	}
	if fulls == 0 || fulls > 14 {
		t.Errorf("%d new full indexes in 40 backups", fulls)
	}
	b.verify(d, tr)
}

func TestRepackEndsWaste(t *testing.T) {
	b := newBench(t)
	tr := sampleTree()
	d := b.full(tr)
	if dead, packs := d.Waste(Critical); dead != 0 || packs != 2 { // one of service books, one of keys
		t.Errorf("a fresh data set wastes %v in %d packs", dead, packs)
	}
	for i := range 20 {
		tr.file(fmt.Sprintf("service-books/net-%02d.nmconnection", i), connection(2000+i))
		_, d = b.incremental(d, tr)
	}
	dead, packs := d.Waste(Critical)
	if dead < 0.2 || packs < 20 {
		t.Fatalf("waste is %v in %d packs: the test tests nothing", dead, packs)
	}
	cfg := b.config(d, Incremental)
	cfg.Repack[Critical] = true
	c, next := b.write(cfg, tr)
	if dead, packs := next.Waste(Critical); dead != 0 || packs != 2 { // one of service books, one of keys
		t.Errorf("waste is %v in %d packs after packing anew", dead, packs)
	}
	if !slices.Equal(next.Blobs(Bulk), d.Blobs(Bulk)) || len(next.Blobs(Critical)) != 3 {
		t.Error("more than the critical part was packed anew")
	}
	b.verify(b.load(c), tr)
}

// TestBackAndForth changes a file and changes it back, so that ids return.
func TestBackAndForth(t *testing.T) {
	b := newBench(t)
	tr := sampleTree()
	d := b.full(tr)
	seen := map[BlobID]int{}
	for i := range 12 {
		tr.file("user-data/flag", fmt.Appendf(nil, "state %d", i%2))
		c, next := b.incremental(d, tr)
		for _, id := range c.Add {
			seen[id]++
		}
		b.verify(b.load(c), tr)
		d = next
	}
	again := 0
	for _, n := range seen {
		if n > 1 {
			again++
		}
	}
	if again == 0 {
		t.Error("no id returned: the test tests nothing")
	}
}

func TestHeadWithoutBase(t *testing.T) {
	b := newBench(t)
	tr := sampleTree()
	d := b.full(tr)
	cfg := b.config(nil, Full)
	cfg.Head = &Head{Snapshot: b.last.Snapshot, Blobs: d.allBlobs()}
	c, next := b.write(cfg, tr)
	if c.Parent != d.Header().Snapshot || len(without(d.allBlobs(), c.Drop)) != 0 {
		t.Errorf("commit %+v", c)
	}
	if _, err := c.Follow(&SnapshotRecord{Snapshot: c.Parent, Seq: 1, Blobs: d.allBlobs()}); err != nil {
		t.Error(err)
	}
	b.verify(next, tr)
}

// TestManyItems needs several index blobs, full and delta.
func TestManyItems(t *testing.T) {
	b := newBench(t)
	tr := tree{}
	for i := range 10_000 {
		tr.file(fmt.Sprintf("user-data/%03d/%05d", i%100, i), fmt.Appendf(nil, "%d", i%50))
	}
	d := b.full(tr)
	if n := len(d.parts[Bulk].chain); n < 2 || d.parts[Bulk].chain[n-1].kind != indexMore {
		t.Fatalf("%d indexes", n)
	}
	b.verify(b.load(b.last), tr)
	for i := range 10_000 {
		if i%2 == 0 {
			delete(tr, fmt.Sprintf("user-data/%03d/%05d", i%100, i))
		}
	}
	c, next := b.incremental(d, tr)
	if n := len(next.parts[Bulk].chain); n < len(d.parts[Bulk].chain)+1 {
		t.Fatalf("%d indexes after a large delta", n)
	}
	b.verify(b.load(c), tr)
	tr.file("user-data/000/one-more", nil)
	c, next = b.incremental(next, tr)
	b.verify(b.load(c), tr)
	enc, err := next.Encode()
	if err != nil {
		t.Fatal(err)
	}
	local, err := DecodeDataSet(enc)
	if err != nil {
		t.Fatal(err)
	}
	b.verify(local, tr)
}

// TestSolidBeatsFileByFile measures what packing small files together is for.
func TestSolidBeatsFileByFile(t *testing.T) {
	b := newBench(t)
	tr := tree{}
	alone := 0
	for i := range 120 {
		body := connection(i)
		tr.file(fmt.Sprintf("service-books/net-%03d.nmconnection", i), body)
		var z compressor
		packed, err := z.compress(zstd.SpeedDefault, body)
		if err != nil {
			t.Fatal(err)
		}
		alone += len(packed) + SealOverhead
	}
	d := b.full(tr)
	solid := b.shelf.size(d.Packs(d.Entries()[1].Name))
	t.Logf("%d bytes solid, %d file by file", solid, alone)
	if solid*2 > alone {
		t.Errorf("%d bytes solid, %d file by file", solid, alone)
	}
}

func TestPacksInOrderOfUse(t *testing.T) {
	b := newBench(t)
	tr := tree{}
	for i := range 8 {
		tr.file(fmt.Sprintf("user-data/%d", i), noise(uint64(i), 400_000))
	}
	d := b.full(tr)
	all := d.Packs("user-data/7", "user-data/0", "user-data/none", "user-data/7")
	e7, _ := d.Entry("user-data/7")
	e0, _ := d.Entry("user-data/0")
	if want := []BlobID{e7.Extents[0].Pack, e0.Extents[0].Pack}; !slices.Equal(all, want) {
		t.Errorf("got %v, want %v", all, want)
	}
}

func TestContentRefuses(t *testing.T) {
	b := newBench(t)
	tr := sampleTree()
	d := b.full(tr)
	packs := NewPackReader(b.key, b.vault, b.shelf.one)
	big, _ := d.Entry("user-data/photo.jpg")
	if len(big.Extents) < 3 {
		t.Fatalf("%d extents: the test tests nothing", len(big.Extents))
	}
	for name, change := range map[string]func(*Entry){
		"digest":     func(e *Entry) { e.Digest[0] ^= 1 },
		"size":       func(e *Entry) { e.Size++ },
		"sum":        func(e *Entry) { e.Extents[1].Sum[0] ^= 1 },
		"offset":     func(e *Entry) { e.Extents[1].Off++ },
		"length":     func(e *Entry) { e.Extents[1].Len-- },
		"far":        func(e *Entry) { e.Extents[1].Off = 1<<32 - 1 },
		"left out":   func(e *Entry) { e.Extents = e.Extents[1:] },
		"order":      func(e *Entry) { e.Extents[0], e.Extents[1] = e.Extents[1], e.Extents[0] },
		"no extents": func(e *Entry) { e.Extents = nil },
	} {
		e := big
		e.Extents = slices.Clone(big.Extents)
		change(&e)
		var out bytes.Buffer
		if err := e.Content(context.Background(), packs, &out); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	dir, _ := d.Entry("user-data")
	if err := dir.Content(context.Background(), packs, &bytes.Buffer{}); err == nil {
		t.Error("a directory has contents")
	}
}
