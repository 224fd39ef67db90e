package vault

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// lines is about as dense as what people write.
func lines(seed uint64, n int) []byte {
	var b bytes.Buffer
	for i, c := range noise(seed, n) {
		fmt.Fprintf(&b, "word%d=%d\n", c%64, i%97)
		if b.Len() >= n {
			break
		}
	}
	return b.Bytes()[:n]
}

func BenchmarkChunk(b *testing.B) {
	body := noise(1, 16<<20)
	k := testKey(b)
	c := chunker{key: k.chunk[:]}
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if err := c.cut(bytes.NewReader(body), int64(len(body)), func([]byte) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompress(b *testing.B) {
	body := lines(1, packTarget)
	for name, level := range map[string]zstd.EncoderLevel{"bulk": packLevel(Bulk), "critical": packLevel(Critical)} {
		b.Run(name, func(b *testing.B) {
			var z compressor
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, err := z.compress(level, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPack writes files of 12 kB: reading, digests, grouping, compression, seal.
func BenchmarkPack(b *testing.B) {
	for name, body := range map[string][]byte{"text": lines(1, 12<<10), "noise": noise(1, 12<<10)} {
		b.Run(name, func(b *testing.B) {
			bench := newBench(b)
			cfg := bench.config(nil, Full)
			cfg.Put = func(context.Context, Blob) error { return nil }
			w, err := NewWriter(cfg)
			if err != nil {
				b.Fatal(err)
			}
			it := manifest.Item{Class: userdata.UserData, Type: manifest.File, Mode: 0o600}
			b.SetBytes(int64(len(body)))
			n := 0
			for b.Loop() {
				if n++; n == MaxItems {
					b.Skip("more items than a data set may have")
				}
				it.Name = userdata.Name(fmt.Sprintf("user-data/f%d", n))
				copy(body, fmt.Sprint(n)) // so that none is known
				if _, err := w.Add(context.Background(), it, openBytes(body)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSeal(b *testing.B) {
	k, body := testKey(b), noise(1, packTarget)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := k.Seal(KindPack, VaultID{1}, BlobID{2}, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	k, body := testKey(b), noise(1, packTarget)
	sealed, err := k.Seal(KindPack, VaultID{1}, BlobID{2}, body)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := k.Open(KindPack, VaultID{1}, BlobID{2}, sealed); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDiffer looks for what is new in a database of 8 MB of which a page has changed.
func BenchmarkDiffer(b *testing.B) {
	body := noise(1, 8<<20)
	sums := newStrongSums(testKey(b))
	m := marker{sums: sums}
	m.start(int64(len(body)))
	_, _ = m.Write(body)
	index, ok := parseMarks(m.finish(), int64(len(body)))
	if !ok {
		b.Fatal("the marks are refused")
	}
	copy(body[4<<20:], noise(2, 4096))
	d := differ{index: index, sums: sums, same: func(int64, []byte) error { return nil }, fresh: func([]byte) error { return nil }}
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if err := d.run(io.NewSectionReader(bytes.NewReader(body), 0, int64(len(body)))); err != nil {
			b.Fatal(err)
		}
	}
}
