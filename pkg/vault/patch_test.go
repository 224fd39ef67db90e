package vault

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// memoryMarks is a MarkStore without a disk.
type memoryMarks map[manifest.Digest][]byte

func (m memoryMarks) Marks(d manifest.Digest) []byte           { return m[d] }
func (m memoryMarks) PutMarks(d manifest.Digest, marks []byte) { m[d] = slices.Clone(marks) }
func (m memoryMarks) DropMarks(d manifest.Digest)              { delete(m, d) }

// edits are changes to contents, and the most new bytes that each may take before
// compression.
func edits() map[string]struct {
	size, most int
	edit       func(b []byte) []byte
} {
	insert := func(at, n int) func([]byte) []byte {
		return func(b []byte) []byte { return slices.Insert(slices.Clone(b), at, noise(99, n)...) }
	}
	over := func(at, n int) func([]byte) []byte {
		return func(b []byte) []byte { b = slices.Clone(b); copy(b[at:at+n], noise(98, n)); return b }
	}
	return map[string]struct {
		size, most int
		edit       func(b []byte) []byte
	}{
		"1 kB over 12 kB":       {12 << 10, 1536, over(5000, 1024)},
		"in front, small":       {12 << 10, 100 + 256, insert(0, 100)},
		"appended, small":       {12345, 100 + 256, insert(12345, 100)},
		"cut off, small":        {12345, 256, func(b []byte) []byte { return b[:7000] }},
		"in front, large":       {3 << 20, 4096, insert(0, 4096)},
		"in front, odd size":    {3<<20 + 77, 4096, insert(0, 4096)},
		"appended, large":       {3<<20 + 77, 5000 + 4096, insert(3<<20+77, 5000)},
		"a page":                {3 << 20, 4096, over(40<<12, 4096)},
		"three places":          {3 << 20, 3 * 8192, func(b []byte) []byte { return over(2<<20, 10)(over(1<<20, 10)(over(77, 10)(b))) }},
		"halves swapped":        {3 << 20, 2 * 4096, func(b []byte) []byte { return slices.Concat(b[1<<20:], b[:1<<20]) }},
		"twice itself":          {1 << 20, 4096, func(b []byte) []byte { return slices.Concat(b, b) }},
		"grown from small":      {500 << 10, 100<<10 + 2048, insert(1000, 100<<10)},
		"shrunk to small":       {600 << 10, 4096, func(b []byte) []byte { return b[100<<10:] }},
		"all new":               {100 << 10, 100 << 10, over(0, 100<<10)},
		"much new in the midst": {3 << 20, 2<<20 + 8192, insert(1<<20, 2<<20)},
	}
}

func TestPatchSendsWhatIsNew(t *testing.T) {
	for name, tc := range edits() {
		t.Run(name, func(t *testing.T) {
			b, marks := newBench(t), memoryMarks{}
			tr := tree{}
			tr.file("user-data/f", noise(5, tc.size))
			tr.file("user-data/other", noise(6, 700))
			cfg := b.config(nil, Full)
			cfg.Marks = marks
			_, base := b.write(cfg, tr)
			after := maps.Clone(tr)
			after.file("user-data/f", tc.edit(tr["user-data/f"].body))
			cfg = b.config(base, Incremental)
			cfg.Marks = marks
			c, d := b.write(cfg, after)
			b.verify(d, after)
			b.verify(b.load(c), after)
			if fresh := freshPlain(d, base); fresh > tc.most {
				t.Errorf("%d bytes are packed anew, at most %d are new", fresh, tc.most)
			}
			if len(marks) != 2 {
				t.Errorf("%d marks for 2 files", len(marks))
			}
		})
	}
}

// freshPlain is how many bytes lie in packs that the base does not have.
func freshPlain(d, base *DataSet) int {
	old, total := base.packSizes(Bulk), 0
	for id, size := range d.packSizes(Bulk) {
		if _, known := old[id]; !known {
			total += int(size)
		}
	}
	return total
}

func TestPatchAgainAndAgain(t *testing.T) {
	b, marks, tr := newBench(t), memoryMarks{}, tree{}
	tr.file("user-data/f", noise(5, 256<<10))
	cfg := b.config(nil, Full)
	cfg.Marks = marks
	_, base := b.write(cfg, tr)
	for i := range 60 {
		body := slices.Clone(tr["user-data/f"].body)
		copy(body[(i*7919)%len(body):], noise(uint64(i), 50))
		tr.file("user-data/f", body)
		cfg := b.config(base, Incremental)
		cfg.Marks = marks
		_, base = b.write(cfg, tr)
		e, _ := base.Entry("user-data/f")
		if len(e.Extents) > 64+8*4+8 {
			t.Fatalf("%d extents after %d changes", len(e.Extents), i)
		}
	}
	b.verify(base, tr)
}

func TestPatchDoesWithoutMarks(t *testing.T) {
	for name, spoil := range map[string]func(memoryMarks){
		"none":      func(m memoryMarks) { clear(m) },
		"cut off":   func(m memoryMarks) { each(m, func(b []byte) []byte { return b[:len(b)-1] }) },
		"of others": func(m memoryMarks) { each(m, func(b []byte) []byte { b[1]++; return b }) },
		"empty":     func(m memoryMarks) { each(m, func([]byte) []byte { return nil }) },
	} {
		t.Run(name, func(t *testing.T) {
			b, marks, tr := newBench(t), memoryMarks{}, tree{}
			tr.file("user-data/f", noise(5, 12<<10))
			cfg := b.config(nil, Full)
			cfg.Marks = marks
			_, base := b.write(cfg, tr)
			spoil(marks)
			tr.file("user-data/f", append(noise(7, 10), tr["user-data/f"].body...))
			cfg = b.config(base, Incremental)
			cfg.Marks = marks
			c, _ := b.write(cfg, tr)
			b.verify(b.load(c), tr)
		})
	}
}

func each(m memoryMarks, f func([]byte) []byte) {
	for d, b := range m {
		m[d] = f(b)
	}
}

// TestPatchAvoidsLostPacks: what the reader lost is no base for anything.
func TestPatchAvoidsLostPacks(t *testing.T) {
	b, marks, tr := newBench(t), memoryMarks{}, tree{}
	tr.file("user-data/f", noise(5, 12<<10))
	cfg := b.config(nil, Full)
	cfg.Marks = marks
	_, base := b.write(cfg, tr)
	e, _ := base.Entry("user-data/f")
	delete(b.shelf.blobs, e.Extents[0].Pack)
	tr.file("user-data/f", append(noise(7, 10), tr["user-data/f"].body...))
	cfg = b.config(base, Incremental)
	cfg.Marks, cfg.Lost = marks, map[BlobID]bool{e.Extents[0].Pack: true}
	_, d := b.write(cfg, tr)
	b.verify(d, tr)
}

// FuzzDiffer puts contents together again from what the differ tells.
func FuzzDiffer(f *testing.F) {
	f.Add([]byte("x"), 3000, 700, 20)
	f.Add(bytes.Repeat([]byte{0}, 5000), 9000, 0, 4000)
	f.Add([]byte{}, 512, 511, 1)
	f.Fuzz(func(t *testing.T, put []byte, size, at, cut int) {
		size = minMarked + (size&0xffff)%30000
		old := noise(1, size)
		at, cut = (at&0xffff)%size, cut&0xfff
		fresh := slices.Concat(old[:at], put, old[min(size, at+cut):], put)
		sums := newStrongSums(testKey(t))
		m := marker{sums: sums}
		m.start(int64(size))
		m.Write(old[:at])
		m.Write(old[at:])
		index, ok := parseMarks(m.finish(), int64(size))
		if !ok {
			t.Fatal("marks that were just made are refused")
		}
		var got []byte
		d := differ{index: index, sums: sums, fresh: func(b []byte) error { got = append(got, b...); return nil }}
		d.same = func(off int64, b []byte) error {
			if !bytes.Equal(old[off:off+int64(len(b))], b) {
				t.Fatalf("%d bytes at %d are not those of before", len(b), off)
			}
			got = append(got, b...)
			return nil
		}
		if err := d.run(bytes.NewReader(fresh)); err != nil || !bytes.Equal(got, fresh) {
			t.Fatalf("%d bytes came out of %d, %v", len(got), len(fresh), err)
		}
	})
}

// FuzzMarks feeds arbitrary bytes as marks.
func FuzzMarks(f *testing.F) {
	f.Add([]byte{1, 8}, int64(600))
	f.Fuzz(func(t *testing.T, marks []byte, size int64) {
		if x, ok := parseMarks(marks, size); ok && (x.count < 1 || x.count > maxBlocks) {
			t.Errorf("%d blocks", x.count)
		}
	})
}

// TestPatchKeepsToItsLane refers to no keys' pack from a file that has become a service book.
func TestPatchKeepsToItsLane(t *testing.T) {
	b, marks := newBench(t), memoryMarks{}
	tr := tree{}
	tr.file("keys/a", noise(5, 20<<10))
	tr.file("keys/b", noise(6, 700))
	cfg := b.config(nil, Full)
	cfg.Marks = marks
	_, base := b.write(cfg, tr)
	moved := tree{}
	for name, f := range tr {
		f.item.Class = userdata.ServiceBooks
		moved[name] = f
	}
	f := moved["keys/a"]
	f.body = append(slices.Clone(f.body), 1)
	f.item.Size++
	moved["keys/a"] = f
	cfg = b.config(base, Incremental)
	cfg.Marks = marks
	_, d := b.write(cfg, moved)
	before := base.Packs("keys/a", "keys/b")
	for _, id := range d.Packs("keys/a", "keys/b") {
		if slices.Contains(before, id) {
			t.Errorf("pack %s has keys and service books", id)
		}
	}
	b.verify(d, moved)
}
