package vault

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// fuzzed makes a small data set to take seeds from.
func fuzzed(f *testing.F) (*bench, *DataSet) {
	b := newBench(f)
	tr := tree{}
	tr.file("keys/d/k", []byte("secret"))
	tr.file("user-data/x", noise(1, 600_000))
	tr.link("keys/l", "d/k")
	k := tr["keys/d/k"]
	k.item.Xattrs = map[string][]byte{"user.x": {1}}
	tr["keys/d/k"] = k
	d := b.full(tr)
	tr.file("keys/new", []byte("new"))
	delete(tr, "keys/l")
	_, d = b.incremental(d, tr)
	return b, d
}

// plainIndexes opens and unpacks the indexes of the data set.
func plainIndexes(f *testing.F, b *bench, d *DataSet) (plain [][]byte) {
	for _, p := range Parts() {
		for _, id := range d.header.Index[p] {
			packed, err := b.key.Open(KindIndex, b.vault, id, b.shelf.blobs[id])
			if err != nil {
				f.Fatal(err)
			}
			index, err := decompress(packed, MaxIndex)
			if err != nil {
				f.Fatal(err)
			}
			plain = append(plain, index)
		}
	}
	return plain
}

func FuzzOpen(f *testing.F) {
	b, d := fuzzed(f)
	for _, id := range d.Blobs(Critical) {
		f.Add(b.shelf.blobs[id])
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		// The id is one that nothing was sealed for: nothing may open.
		if _, err := b.key.Open(KindPack, b.vault, BlobID{0xEE}, sealed); !errors.Is(err, ErrSealBroken) {
			t.Fatalf("got %v", err)
		}
	})
}

func FuzzOpenPack(f *testing.F) {
	key := testKey(f)
	var z compressor
	for _, n := range []int{0, 10, 3 << 20} {
		packed, err := z.compress(zstd.SpeedDefault, make([]byte, n))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(packed))
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		if len(packed) > MaxBlob-2*SealOverhead {
			return
		}
		sealed, err := key.Seal(KindPack, VaultID{1}, BlobID{1}, packed)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := OpenPack(key, VaultID{1}, BlobID{1}, sealed)
		if err == nil && len(plain) > MaxPack || err != nil && !errors.Is(err, ErrCompressed) {
			t.Fatalf("%d bytes, %v", len(plain), err)
		}
	})
}

func FuzzIndex(f *testing.F) {
	b, d := fuzzed(f)
	for _, plain := range plainIndexes(f, b, d) {
		f.Add(plain)
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		s, err := decodeSegment(plain)
		if err != nil {
			if !errors.Is(err, ErrDataSet) {
				t.Fatalf("got %v", err)
			}
			return
		}
		for _, e := range s.entries {
			if err := checkItem(e.Item); err != nil {
				t.Fatal(err)
			}
		}
		again, err := encodeSegment(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeSegment(again); err != nil {
			t.Fatalf("what was accepted is refused once encoded again: %v", err)
		}
	})
}

func FuzzHeader(f *testing.F) {
	_, d := fuzzed(f)
	plain, err := d.header.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Fuzz(func(t *testing.T, plain []byte) {
		h, err := decodeHeader(plain)
		if err != nil {
			if !errors.Is(err, ErrDataSet) {
				t.Fatalf("got %v", err)
			}
			return
		}
		if again, err := h.encode(); err != nil || !bytes.Equal(again, plain) {
			t.Fatalf("two encodings of one header: %v", err)
		}
	})
}

// FuzzDecodeDataSet puts a right digest behind the bytes, so that the parser
// behind it gets to see them.
func FuzzDecodeDataSet(f *testing.F) {
	_, d := fuzzed(f)
	enc, err := d.Encode()
	if err != nil {
		f.Fatal(err)
	}
	body, err := unframe(localMagic, localFormat, enc, MaxLocal)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := DecodeDataSet(body); err != nil && !errors.Is(err, ErrDataSet) {
			t.Fatalf("got %v", err)
		}
		d, err := DecodeDataSet(frame(localMagic, localFormat, body))
		if err != nil {
			if !errors.Is(err, ErrDataSet) {
				t.Fatalf("got %v", err)
			}
			return
		}
		if _, err := d.Encode(); err != nil {
			t.Fatalf("what was accepted cannot be encoded: %v", err)
		}
	})
}

func FuzzPortable(f *testing.F) {
	b, _ := fuzzed(f)
	enc, err := b.portable(b.last).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	body, err := unframe(portableMagic, portableFormat, enc, MaxPortable)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := UnmarshalPortable(body); err == nil {
			t.Fatal("accepted without a digest")
		}
		framed := frame(portableMagic, portableFormat, body)
		p, err := UnmarshalPortable(framed)
		if err != nil {
			if !errors.Is(err, ErrPortable) {
				t.Fatalf("got %v", err)
			}
			return
		}
		if again, err := p.Marshal(); err != nil || !bytes.Equal(again, framed) {
			t.Fatalf("two encodings of one portable data set: %v", err)
		}
	})
}

func FuzzRecord(f *testing.F) {
	r, err := testRecord(VaultID{1}).MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(r)
	s, err := SnapshotRecord{Snapshot: SnapshotID{1}, Seq: 1, Header: make([]byte, SealOverhead), Blobs: []BlobID{{1}}}.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s)
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Record
		if err := r.UnmarshalBinary(b); err == nil {
			if again, err := r.MarshalBinary(); err != nil || !bytes.Equal(again, b) {
				t.Fatalf("two encodings of one record: %v", err)
			}
		} else if !errors.Is(err, ErrRecord) {
			t.Fatalf("got %v", err)
		}
		var s SnapshotRecord
		if err := s.UnmarshalBinary(b); err == nil {
			if again, err := s.MarshalBinary(); err != nil || !bytes.Equal(again, b) {
				t.Fatalf("two encodings of one snapshot record: %v", err)
			}
		} else if !errors.Is(err, ErrRecord) {
			t.Fatalf("got %v", err)
		}
	})
}

// FuzzLoad feeds whole data sets of a forged index to the loader.
func FuzzLoad(f *testing.F) {
	b, d := fuzzed(f)
	indexes := plainIndexes(f, b, d)
	f.Add(indexes[0], indexes[1])
	var z compressor
	f.Fuzz(func(t *testing.T, first, second []byte) {
		h := d.Header()
		h.Index = [partCount][]BlobID{{{1}, {2}}, nil}
		shelf := newShelf()
		for i, plain := range [][]byte{first, second} {
			packed, err := z.compress(zstd.SpeedDefault, plain)
			if err != nil || len(packed) > MaxBlob-2*SealOverhead {
				return
			}
			id := h.Index[Critical][i]
			if shelf.blobs[id], err = b.key.Seal(KindIndex, b.vault, id, packed); err != nil {
				t.Fatal(err)
			}
		}
		sealed, err := h.seal(b.key, b.vault)
		if err != nil {
			t.Fatal(err)
		}
		got, err := LoadCritical(context.Background(), b.key, b.vault, h.Snapshot, sealed, shelf.fetch)
		if err != nil {
			if !errors.Is(err, ErrDataSet) && !errors.Is(err, ErrSealBroken) {
				t.Fatalf("got %v", err)
			}
			return
		}
		if err := checkTree(got.Entries()); err != nil {
			t.Fatal(err)
		}
	})
}
