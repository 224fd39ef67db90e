package vault

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// forge seals a data set of any entries, as a device that went wrong or one
// whose key leaked could, and tries to load it.
func (b *bench) forge(change func(h *Header, s *segment)) error {
	b.t.Helper()
	pack := packInfo{id: BlobID{9}, size: 100}
	dir := manifest.Item{Name: "keys", Class: userdata.Keys, Type: manifest.Dir, Mode: 0o700}
	sub := manifest.Item{Name: "keys/d", Class: userdata.Keys, Type: manifest.Dir, Mode: 0o700}
	file := manifest.Item{Name: "keys/d/f", Class: userdata.Keys, Type: manifest.File, Size: 10, Digest: manifest.Digest{1}}
	link := manifest.Item{Name: "keys/l", Class: userdata.Keys, Type: manifest.Symlink, Target: "d"}
	s := segment{kind: indexFull, part: Critical, seq: 1, packs: []packInfo{pack}, entries: []Entry{
		{Item: dir}, {Item: sub}, {Item: file, Extents: []Extent{{Pack: pack.id, Off: 5, Len: 10}}}, {Item: link},
	}}
	h := Header{
		Snapshot: SnapshotID{1}, Seq: 1, Created: time.Unix(1, 0), Mode: Full, Items: 4, Bytes: 10,
		Roots: map[string]userdata.Class{"keys": userdata.Keys},
	}
	change(&h, &s)
	return b.loadForged(h, s)
}

func (b *bench) loadForged(h Header, segments ...segment) error {
	b.t.Helper()
	shelf := newShelf()
	for i, s := range segments {
		plain, err := encodeSegment(s)
		if err != nil {
			b.t.Fatal(err)
		}
		var z compressor
		packed, err := z.compress(zstd.SpeedDefault, plain)
		if err != nil {
			b.t.Fatal(err)
		}
		id := BlobID{byte(i + 1), 7}
		sealed, err := b.key.Seal(KindIndex, b.vault, id, packed)
		if err != nil {
			b.t.Fatal(err)
		}
		shelf.blobs[id] = sealed
		h.Index[Critical] = append(h.Index[Critical], id)
	}
	header, err := h.seal(b.key, b.vault)
	if err != nil {
		b.t.Fatal(err)
	}
	_, err = LoadDataSet(context.Background(), b.key, b.vault, h.Snapshot, header, shelf.fetch)
	return err
}

func TestForgedEntries(t *testing.T) {
	b := newBench(t)
	if err := b.forge(func(*Header, *segment) {}); err != nil {
		t.Fatalf("the forgery to start from is refused: %v", err)
	}
	name := func(i int, n userdata.Name) func(*Header, *segment) {
		return func(_ *Header, s *segment) { s.entries[i].Name = n }
	}
	for what, change := range map[string]func(*Header, *segment){
		"dots":                name(2, "keys/d/../../x"),
		"only dots":           name(2, "keys/.."),
		"dot":                 name(2, "keys/d/."),
		"absolute":            name(2, "/keys/d/f"),
		"empty name":          name(2, ""),
		"empty component":     name(2, "keys//f"),
		"NUL in a name":       name(2, "keys/d/a\x00b"),
		"long name":           name(2, userdata.Name("keys/d/"+strings.Repeat("x", 256))),
		"no parent":           name(2, "keys/e/f"),
		"parent is a file":    name(3, "keys/d/f/l"),
		"parent is a symlink": func(_ *Header, s *segment) { s.entries[1] = Entry{Item: link("keys/d", "/etc")} },
		"unknown root":        name(2, "other/f"),
		"twice":               name(2, "keys/d"),
		"out of order":        func(_ *Header, s *segment) { s.entries[2], s.entries[3] = s.entries[3], s.entries[2] },
		"root is a symlink":   func(_ *Header, s *segment) { s.entries[0] = Entry{Item: link("keys", "/etc")} },
		"type":                func(_ *Header, s *segment) { s.entries[1].Type = 4 },
		"mode":                func(_ *Header, s *segment) { s.entries[1].Mode = 0o40755 },
		"empty target":        func(_ *Header, s *segment) { s.entries[3].Target = "" },
		"NUL in a target":     func(_ *Header, s *segment) { s.entries[3].Target = "a\x00b" },
		"long target":         func(_ *Header, s *segment) { s.entries[3].Target = strings.Repeat("x", MaxTarget+1) },
		"xattr without name":  func(_ *Header, s *segment) { s.entries[1].Xattrs = map[string][]byte{"": {1}} },
		"xattr with NUL":      func(_ *Header, s *segment) { s.entries[1].Xattrs = map[string][]byte{"user.\x00": {1}} },
		"huge xattr": func(_ *Header, s *segment) {
			s.entries[1].Xattrs = map[string][]byte{"user.x": make([]byte, MaxXattrBytes)}
		},
		"size":                func(_ *Header, s *segment) { s.entries[2].Size = 11; s.entries[2].Extents = two(5, 5) },
		"negative size":       func(_ *Header, s *segment) { s.entries[2].Size = -1 },
		"beyond the pack":     func(_ *Header, s *segment) { s.entries[2].Extents[0].Off = 91 },
		"far beyond the pack": func(_ *Header, s *segment) { s.entries[2].Extents[0].Off = 1<<32 - 1 },
		"no extents":          func(_ *Header, s *segment) { s.entries[2].Extents = nil },
		"empty extent":        func(_ *Header, s *segment) { s.entries[2].Extents = append(two(5, 5), Extent{Pack: BlobID{9}}) },
		"huge extent":         func(_ *Header, s *segment) { s.entries[2].Size = 1 << 40 },
		"huge pack":           func(_ *Header, s *segment) { s.packs[0].size = MaxPack + 1 },
		"pack twice":          func(_ *Header, s *segment) { s.packs = append(s.packs, s.packs[0]) },
		"other part":          func(_ *Header, s *segment) { s.part = Bulk },
		"no part":             func(_ *Header, s *segment) { s.part = 2 },
		"delta first":         func(_ *Header, s *segment) { s.kind = indexDelta },
		"more first":          func(_ *Header, s *segment) { s.kind = indexMore },
		"kind":                func(_ *Header, s *segment) { s.kind = 4 },
		"kind zero":           func(_ *Header, s *segment) { s.kind = 0 },
		"future index":        func(_ *Header, s *segment) { s.seq = 2 },
		"full that removes":   func(_ *Header, s *segment) { s.removed = []userdata.Name{"keys/x"} },
		"class of a root":     func(h *Header, _ *segment) { h.Roots["keys"] = userdata.ServiceBooks },
		"root without class":  func(h *Header, _ *segment) { delete(h.Roots, "keys") },
		"bad class":           func(h *Header, _ *segment) { h.Roots["keys"] = "music" },
		"bad root":            func(h *Header, _ *segment) { h.Roots["../etc"] = userdata.Keys },
		"root with a slash":   func(h *Header, _ *segment) { h.Roots["keys/x"] = userdata.Keys },
		"items":               func(h *Header, _ *segment) { h.Items++ },
		"bytes":               func(h *Header, _ *segment) { h.Bytes++ },
		"negative bytes":      func(h *Header, _ *segment) { h.Bytes = -1 },
		"generation zero":     func(h *Header, _ *segment) { h.Seq = 0 },
		"header's mode":       func(h *Header, _ *segment) { h.Mode = 3 },
		"missing index":       func(h *Header, _ *segment) { h.Index[Bulk] = []BlobID{{5}} },
		"index twice":         func(h *Header, _ *segment) { h.Index[Critical] = []BlobID{{1, 7}} },
	} {
		err := b.forge(change)
		if what == "missing index" {
			if !errors.Is(err, ErrNoBlob) {
				t.Errorf("%s: got %v", what, err)
			}
			continue
		}
		if !errors.Is(err, ErrDataSet) {
			t.Errorf("%s: got %v", what, err)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\x00\x1b\n") {
			t.Errorf("%s: the error is not printable: %q", what, err)
		}
	}
}

func link(name userdata.Name, target string) manifest.Item {
	return manifest.Item{Name: name, Class: userdata.Keys, Type: manifest.Symlink, Target: target}
}

func two(a, b uint32) []Extent {
	return []Extent{{Pack: BlobID{9}, Len: a, Sum: Sum{1}}, {Pack: BlobID{9}, Off: a, Len: b, Sum: Sum{2}}}
}

func TestForgedChains(t *testing.T) {
	b := newBench(t)
	dir := func(n userdata.Name) Entry {
		return Entry{Item: manifest.Item{Name: n, Class: userdata.Keys, Type: manifest.Dir}}
	}
	full := segment{kind: indexFull, seq: 2, entries: []Entry{dir("keys"), dir("keys/a")}}
	more := segment{kind: indexMore, seq: 2, entries: []Entry{dir("keys/b")}}
	put := segment{kind: indexDelta, seq: 3, entries: []Entry{dir("keys/c")}}
	remove := segment{kind: indexDelta, seq: 4, removed: []userdata.Name{"keys/a"}}
	for what, tc := range map[string]struct {
		items int
		ok    bool
		chain []segment
	}{
		"good":                  {3, true, []segment{full, more, put, remove}},
		"two fulls":             {2, false, []segment{full, full}},
		"more after a delta":    {4, false, []segment{full, put, more}},
		"more of another":       {3, false, []segment{full, {kind: indexMore, seq: 3, entries: more.entries}}},
		"more that repeats":     {2, false, []segment{full, {kind: indexMore, seq: 2, entries: full.entries}}},
		"going back":            {3, false, []segment{full, {kind: indexDelta, seq: 1, entries: put.entries}}},
		"from the future":       {3, false, []segment{full, {kind: indexDelta, seq: 99, entries: put.entries}}},
		"remove the absent":     {2, false, []segment{full, {kind: indexDelta, seq: 3, removed: []userdata.Name{"keys/zz"}}}},
		"remove the parent":     {2, false, []segment{full, {kind: indexDelta, seq: 3, removed: []userdata.Name{"keys"}}}},
		"removed twice":         {1, false, []segment{full, {kind: indexDelta, seq: 3, removed: []userdata.Name{"keys/a", "keys/a"}}}},
		"put and removed":       {2, false, []segment{full, {kind: indexDelta, seq: 3, removed: []userdata.Name{"keys/a"}, entries: []Entry{dir("keys/a")}}}},
		"removed leaves":        {2, false, []segment{full, {kind: indexDelta, seq: 3, removed: []userdata.Name{"keys/../../etc"}}}},
		"pack of another size":  {2, false, []segment{packed(full, 5), packed(remove, 6)}},
		"pack of the same size": {1, true, []segment{packed(full, 5), packed(remove, 5)}},
	} {
		h := Header{Snapshot: SnapshotID{1}, Seq: 5, Mode: Incremental, Items: tc.items, Roots: map[string]userdata.Class{"keys": userdata.Keys}}
		err := b.loadForged(h, tc.chain...)
		if tc.ok && err != nil || !tc.ok && !errors.Is(err, ErrDataSet) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

func packed(s segment, size uint32) segment {
	s.packs = []packInfo{{id: BlobID{3}, size: size}}
	return s
}

// TestLyingReader swaps, repeats, leaves out and makes up blobs.
func TestLyingReader(t *testing.T) {
	b := newBench(t)
	tr := sampleTree()
	b.full(tr)
	c, h := b.last, b.load(b.last).Header()
	ids := append(slices.Clone(h.Index[Critical]), h.Index[Bulk]...)
	if len(ids) != 2 {
		t.Fatalf("%d indexes", len(ids))
	}
	blobs := b.shelf.blobs
	for what, fetch := range map[string]Fetch{
		"nothing": func(context.Context, []BlobID, func(BlobID, []byte) error) error { return nil },
		"too few": func(_ context.Context, ids []BlobID, got func(BlobID, []byte) error) error {
			return got(ids[0], blobs[ids[0]])
		},
		"order": func(_ context.Context, ids []BlobID, got func(BlobID, []byte) error) error {
			return errors.Join(got(ids[1], blobs[ids[1]]), got(ids[0], blobs[ids[0]]))
		},
		"swapped": func(_ context.Context, ids []BlobID, got func(BlobID, []byte) error) error {
			return errors.Join(got(ids[0], blobs[ids[1]]), got(ids[1], blobs[ids[0]]))
		},
		"too many": func(_ context.Context, ids []BlobID, got func(BlobID, []byte) error) error {
			return errors.Join(got(ids[0], blobs[ids[0]]), got(ids[1], blobs[ids[1]]), got(ids[1], blobs[ids[1]]))
		},
		"a pack": func(_ context.Context, ids []BlobID, got func(BlobID, []byte) error) error {
			return got(ids[0], blobs[c.Add[0]])
		},
	} {
		_, err := LoadDataSet(context.Background(), b.key, b.vault, c.Snapshot, c.Header, fetch)
		if !errors.Is(err, ErrDataSet) && !errors.Is(err, ErrSealBroken) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if _, err := LoadDataSet(context.Background(), b.key, b.vault, SnapshotID{4}, c.Header, b.shelf.fetch); !errors.Is(err, ErrSealBroken) {
		t.Errorf("the header of another snapshot: got %v", err)
	}
}

// TestTamperEveryByte changes each byte of each blob of a small data set.
func TestTamperEveryByte(t *testing.T) {
	b := newBench(t)
	tr := tree{}
	tr.file("keys/k", []byte("secret"))
	d := b.full(tr)
	c := b.last
	for i := range c.Header {
		bad := bytes.Clone(c.Header)
		bad[i] ^= 1
		if _, err := LoadDataSet(context.Background(), b.key, b.vault, c.Snapshot, bad, b.shelf.fetch); !errors.Is(err, ErrSealBroken) {
			t.Fatalf("header, byte %d: got %v", i, err)
		}
	}
	e, _ := d.Entry("keys/k")
	for _, id := range c.Add {
		good := b.shelf.blobs[id]
		for i := range good {
			bad := bytes.Clone(good)
			bad[i] ^= 1
			b.shelf.blobs[id] = bad
			_, err := LoadDataSet(context.Background(), b.key, b.vault, c.Snapshot, c.Header, b.shelf.fetch)
			if err == nil {
				err = e.Content(context.Background(), NewPackReader(b.key, b.vault, b.shelf.one), &bytes.Buffer{})
			}
			if !errors.Is(err, ErrSealBroken) {
				t.Fatalf("blob %s, byte %d: got %v", id, i, err)
			}
		}
		b.shelf.blobs[id] = good
	}
}

// TestStrictCBOR shows that a value has one encoding only.
func TestStrictCBOR(t *testing.T) {
	h := Header{Snapshot: SnapshotID{1}, Seq: 5, Mode: Full, Roots: map[string]userdata.Class{"keys": userdata.Keys}}
	good, err := h.encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decodeHeader(good); err != nil {
		t.Fatal(err)
	}
	fields := good[0] & 0x1f
	swap := func(old, new string) []byte { return bytes.Replace(good, []byte(old), []byte(new), 1) }
	for what, bad := range map[string][]byte{
		"trailing byte":    append(slices.Clone(good), 0),
		"cut":              good[:len(good)-1],
		"unknown key":      append(append([]byte{good[0] + 1}, good[1:]...), 0x18, 0x63, 0),
		"key twice":        append(append([]byte{good[0] + 1}, good[1:]...), 0x08, 0),
		"long form":        swap("\x04\x05", "\x04\x18\x05"),
		"indefinite map":   append(append([]byte{0xbf}, good[1:]...), 0xff),
		"tag":              append([]byte{0xc1}, good...),
		"float":            swap("\x04\x05", "\x04\xf9\x45\x00"),
		"wrong type":       swap("\x04\x05", "\x04\x61\x35"),
		"short id":         swap("\x02\x50", "\x02\x4f"),
		"format":           swap("\x01\x01", "\x01\x02"),
		"null":             {0xf6},
		"empty":            {},
		"empty map":        {0xa0},
		"explicit default": append(append([]byte{0xa0 | (fields + 1)}, good[1:]...), 0x0a, 0x40),
	} {
		if bytes.Equal(bad, good) {
			t.Fatalf("%s: nothing was changed", what)
		}
		if _, err := decodeHeader(bad); !errors.Is(err, ErrDataSet) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}
