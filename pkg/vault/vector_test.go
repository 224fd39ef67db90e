package vault

import (
	"bytes"
	"context"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// updateVectors writes the newest vectors anew. Do it only together with a new
// format number, and into a new directory: what old versions wrote must stay readable.
var updateVectors = flag.Bool("update-vectors", false, "write the newest vectors anew")

// vectorDirs hold what each version of the format looked like, the newest last.
func vectorDirs() []string { return []string{"testdata/vectors", "testdata/vectors3"} }

func newestVectors() string { return vectorDirs()[len(vectorDirs())-1] }

// vectorTree is what the vectors hold.
func vectorTree() tree {
	tr := tree{}
	tr.file("keys/d/id", []byte("a private key\n"))
	tr.file("service-books/home.nmconnection", []byte("[connection]\nid=home\n"))
	tr.link("keys/link", "d/id")
	tr.file("user-data/big", bytes.Repeat(noise(11, 5000), 110))
	tr.file("user-data/empty", nil)
	f := tr["keys/d/id"]
	f.item.Xattrs = map[string][]byte{"user.tag": {0, 255}}
	tr["keys/d/id"] = f
	return tr
}

func vectorTreeAfter() tree {
	tr := vectorTree()
	delete(tr, "user-data/empty")
	tr.file("user-data/new", []byte("new"))
	return tr
}

func writeVectors(t *testing.T) {
	t.Helper()
	b := newBench(t)
	cfg := b.config(nil, Full)
	cfg.Snapshot = SnapshotID{0xA0}
	_, d := b.write(cfg, vectorTree())
	cfg = b.config(d, Incremental)
	cfg.Snapshot = SnapshotID{0xA1}
	c, d := b.write(cfg, vectorTreeAfter())
	local, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	card, err := b.portable(c).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"header": c.Header, "local": local, "portable": card}
	for _, id := range d.allBlobs() {
		files["blob-"+id.String()] = b.shelf.blobs[id]
	}
	if err := os.MkdirAll(newestVectors(), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, body := range files {
		if err := os.WriteFile(filepath.Join(newestVectors(), name), body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestVectors reads what an earlier version of this package wrote.
func TestVectors(t *testing.T) {
	if *updateVectors {
		writeVectors(t)
	}
	for _, dir := range vectorDirs() {
		t.Run(filepath.Base(dir), func(t *testing.T) { readsVectors(t, dir) })
	}
}

func readsVectors(t *testing.T, dir string) {
	b := newBench(t)
	files := readVectors(t, dir)
	for name, body := range files {
		if id, ok := strings.CutPrefix(name, "blob-"); ok {
			blob, err := ParseBlobID(id)
			if err != nil {
				t.Fatal(err)
			}
			b.shelf.blobs[blob] = body
		}
	}
	tr := vectorTreeAfter()
	d, err := LoadDataSet(context.Background(), b.key, b.vault, SnapshotID{0xA1}, files["header"], b.shelf.fetch)
	if err != nil {
		t.Fatal(err)
	}
	b.verify(d, tr)
	if h := d.Header(); h.Parent != (SnapshotID{0xA0}) || h.Seq != 2 || !h.Created.Equal(time.Unix(1_700_000_000, 5)) || h.Mode != Incremental {
		t.Errorf("header %+v", h)
	}
	local, err := DecodeDataSet(files["local"])
	if err != nil {
		t.Fatal(err)
	}
	b.verify(local, tr)
	card, err := UnmarshalPortable(files["portable"])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LoadCritical(context.Background(), b.key, b.vault, SnapshotID{0xA1}, card.Snapshot.Header, card.Fetch); err != nil {
		t.Error(err)
	}
	if !slices.Equal(card.Snapshot.Critical, d.Blobs(Critical)) {
		t.Error("the card has other blobs")
	}
}

func readVectors(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	names, err := os.ReadDir(dir)
	if err != nil || len(names) < 6 {
		t.Fatalf("%d vectors, %v", len(names), err)
	}
	files := make(map[string][]byte)
	for _, n := range names {
		if files[n.Name()], err = os.ReadFile(filepath.Join(dir, n.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// TestPinned pins what has no randomness in it, as docs/formats.md states it.
func TestPinned(t *testing.T) {
	k := testKey(t)
	for what, tc := range map[string]struct{ got, want string }{
		"seal subkey":  {hex.EncodeToString(k.seal[:8]), pinSeal},
		"id subkey":    {hex.EncodeToString(k.id[:8]), pinID},
		"mark subkey":  {hex.EncodeToString(k.mark[:8]), pinMark},
		"chunk subkey": {hex.EncodeToString(k.chunk[:8]), pinChunk},
		"blob id":      {k.BlobID(KindPack, Bulk, SnapshotID{1}, []byte("plain")).String(), pinBlob},
		"context":      {hex.EncodeToString(layerContext(sealFormat, KindIndex, VaultID{1}, BlobID{2})), "52505642" + "01" + "02" + "01" + strings.Repeat("00", 15) + "02" + strings.Repeat("00", 15)},
	} {
		if tc.got != tc.want {
			t.Errorf("%s is %s, want %s", what, tc.got, tc.want)
		}
	}
}

// TestChunksPinned: another cut of the same bytes would make every large file
// be stored anew after an upgrade.
func TestChunksPinned(t *testing.T) {
	k := testKey(t)
	var lens []int
	c := chunker{key: k.chunk[:]}
	err := c.cut(bytes.NewReader(noise(12, 600_000)), 600_000, func(b []byte) error {
		lens = append(lens, len(b))
		return nil
	})
	if err != nil || !slices.Equal(lens, pinChunks()) {
		t.Errorf("cut into %v (%v), want %v", lens, err, pinChunks())
	}
}

// Computed by an independent implementation, for a key of 32 times 07.
const (
	pinSeal  = "f3be904f1ea4d2d7"
	pinID    = "5fa720a99e550199"
	pinMark  = "e12e45c65c822e02"
	pinChunk = "9f7e1bcbb17232cb"
	pinBlob  = "b015544c4f5a3a79ab5edcb8512eaa52"
)

func pinChunks() []int { return []int{94926, 76793, 81557, 77172, 153720, 85558, 30274} }
