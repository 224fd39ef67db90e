package vault

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// brokenReader gives some bytes, then an error.
type brokenReader struct {
	n   int
	err error
}

func (r *brokenReader) Read(p []byte) (int, error) {
	if r.n == 0 {
		return 0, r.err
	}
	n := min(len(p), r.n)
	r.n -= n
	return n, nil
}

func (r *brokenReader) Close() error { return nil }

func TestUnreadableItems(t *testing.T) {
	b := newBench(t)
	d := b.full(sampleTree())
	w, err := NewWriter(b.config(d, Incremental))
	if err != nil {
		t.Fatal(err)
	}
	item := manifest.Item{Name: "user-data/photo.jpg", Class: userdata.UserData, Type: manifest.File}
	bad := errors.New("bad sector")
	for _, n := range []int{0, 100, smallFile, smallFile + 1, 3 << 20} {
		for _, err := range []error{bad, io.ErrUnexpectedEOF} {
			_, got := w.Add(context.Background(), item, func() (io.ReadCloser, error) { return &brokenReader{n: n, err: err}, nil })
			if !errors.Is(got, err) {
				t.Errorf("%v after %d bytes: got %v", err, n, got)
			}
		}
	}
	if _, got := w.Add(context.Background(), item, func() (io.ReadCloser, error) { return nil, bad }); !errors.Is(got, bad) {
		t.Errorf("cannot open: got %v", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, got := w.Add(ctx, item, openBytes(nil)); !errors.Is(got, context.Canceled) {
		t.Errorf("cancelled: got %v", got)
	}
	old, _ := d.Entry(item.Name)
	if err := w.Keep(old); err != nil { // its directories come with it
		t.Fatal(err)
	}
	c, next, err := w.Finish(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	kept := tree{"user-data": sampleTree()["user-data"], "user-data/photo.jpg": sampleTree()["user-data/photo.jpg"]}
	b.verify(next, kept)
	b.verify(b.load(c), kept)
}

func TestKeepInFull(t *testing.T) {
	b := newBench(t)
	tr := sampleTree()
	d := b.full(tr)
	cfg := b.config(d, Full)
	w, err := NewWriter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(tr)) {
		if name == "keys/id_ed25519" { // damaged on the device
			old, _ := d.Entry("keys/id_ed25519")
			err = w.Keep(old)
		} else {
			_, err = w.Add(context.Background(), tr[name].item, openBytes(tr[name].body))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c, next, err := w.Finish(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	b.verify(next, tr)
	b.verify(b.load(c), tr)
	if kept := without(d.allBlobs(), c.Drop); len(kept) != 1 {
		t.Errorf("%d blobs of the base are kept, want the one pack", len(kept))
	}
}

func TestWriterRefuses(t *testing.T) {
	b := newBench(t)
	d := b.full(sampleTree())
	partial, err := LoadCritical(context.Background(), b.key, b.vault, b.last.Snapshot, b.last.Header, b.shelf.fetch)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*WriterConfig){
		"no key":         func(c *WriterConfig) { c.Key = Key{} },
		"no put":         func(c *WriterConfig) { c.Put = nil },
		"no vault":       func(c *WriterConfig) { c.Vault = VaultID{} },
		"no snapshot":    func(c *WriterConfig) { c.Snapshot = SnapshotID{} },
		"no seq":         func(c *WriterConfig) { c.Seq = 0 },
		"old seq":        func(c *WriterConfig) { c.Seq = 1 },
		"no mode":        func(c *WriterConfig) { c.Mode = 0 },
		"no base":        func(c *WriterConfig) { c.Base = nil },
		"partial base":   func(c *WriterConfig) { c.Base = partial },
		"other vault":    func(c *WriterConfig) { c.Vault = VaultID{9} },
		"base and head":  func(c *WriterConfig) { c.Head = &Head{} },
		"unknown mode 9": func(c *WriterConfig) { c.Mode = 9 },
	} {
		cfg := b.config(d, Incremental)
		change(&cfg)
		if _, err := NewWriter(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestAddRefuses(t *testing.T) {
	b := newBench(t)
	d := b.full(sampleTree())
	w, err := NewWriter(b.config(d, Incremental))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if _, err := w.Add(ctx, sampleTree()["keys"].item, nil); err != nil {
		t.Fatal(err)
	}
	for name, it := range map[string]manifest.Item{
		"twice":        sampleTree()["keys"].item,
		"other class":  {Name: "keys/x", Class: userdata.UserData, Type: manifest.Dir},
		"dots":         {Name: "keys/../x", Class: userdata.Keys, Type: manifest.Dir},
		"absolute":     {Name: "/etc/passwd", Class: userdata.Keys, Type: manifest.Dir},
		"no class":     {Name: "keys/x", Type: manifest.Dir},
		"no type":      {Name: "keys/x", Class: userdata.Keys},
		"mode":         {Name: "keys/x", Class: userdata.Keys, Type: manifest.Dir, Mode: 0o10000},
		"no target":    {Name: "keys/x", Class: userdata.Keys, Type: manifest.Symlink},
		"root is link": {Name: "rest", Class: userdata.Keys, Type: manifest.Symlink, Target: "x"},
		"xattr":        {Name: "keys/x", Class: userdata.Keys, Type: manifest.Dir, Xattrs: map[string][]byte{"user.x": make([]byte, MaxXattrBytes)}},
	} {
		if _, err := w.Add(ctx, it, openBytes(nil)); err == nil {
			t.Errorf("%s: added", name)
		}
	}
	e, _ := d.Entry("keys/id_ed25519")
	e.Extents = []Extent{{Pack: BlobID{1}, Len: uint32(e.Size)}}
	if err := w.Keep(e); !errors.Is(err, ErrDataSet) {
		t.Errorf("keep of an unknown pack: got %v", err)
	}
	if _, err := w.Add(ctx, manifest.Item{Name: "new/dir/file", Class: userdata.Keys, Type: manifest.Dir}, nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Finish(ctx); !errors.Is(err, ErrDataSet) {
		t.Errorf("finish without a parent: got %v", err)
	}
	if _, _, err := w.Finish(ctx); !errors.Is(err, ErrWriter) {
		t.Errorf("finish after a failure: got %v", err)
	}
}
