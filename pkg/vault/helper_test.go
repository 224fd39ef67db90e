package vault

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// testFile is one item of a test's tree.
type testFile struct {
	item manifest.Item
	body []byte
}

// tree is a user-data space in memory: name to item.
type tree map[string]testFile

func (tr tree) dir(name string) {
	class := userdata.Class(userdata.Name(name).Root())
	tr[name] = testFile{item: manifest.Item{Name: userdata.Name(name), Class: class, Type: manifest.Dir, Mode: 0o700, MTime: 17}}
}

func (tr tree) file(name string, body []byte) {
	for p := userdata.Name(name).Parent(); ; p = p.Parent() {
		if _, ok := tr[string(p)]; !ok {
			tr.dir(string(p))
		}
		if p.IsRoot() {
			break
		}
	}
	class := userdata.Class(userdata.Name(name).Root())
	it := manifest.Item{Name: userdata.Name(name), Class: class, Type: manifest.File, Mode: 0o600, UID: 1000, GID: 1000, MTime: 1_700_000_000_000_000_000, Size: int64(len(body))}
	tr[name] = testFile{item: it, body: body}
}

func (tr tree) link(name, target string) {
	class := userdata.Class(userdata.Name(name).Root())
	tr[name] = testFile{item: manifest.Item{Name: userdata.Name(name), Class: class, Type: manifest.Symlink, Mode: 0o777, Target: target}}
}

// shelf keeps blobs as a reader would.
type shelf struct {
	blobs map[BlobID][]byte
	order []BlobID
	fail  func(Blob) error
}

func newShelf() *shelf { return &shelf{blobs: make(map[BlobID][]byte)} }

func (s *shelf) put(_ context.Context, b Blob) error {
	if s.fail != nil {
		if err := s.fail(b); err != nil {
			return err
		}
	}
	if s.blobs[b.ID] == nil {
		s.order = append(s.order, b.ID)
		s.blobs[b.ID] = b.Sealed
	}
	return nil
}

func (s *shelf) fetch(_ context.Context, ids []BlobID, got func(BlobID, []byte) error) error {
	for _, id := range ids {
		b, ok := s.blobs[id]
		if !ok {
			return fmt.Errorf("%w: %s", ErrNoBlob, id)
		}
		if err := got(id, b); err != nil {
			return err
		}
	}
	return nil
}

func (s *shelf) one(_ context.Context, id BlobID) ([]byte, error) {
	b, ok := s.blobs[id]
	if !ok {
		return nil, ErrNoBlob
	}
	return b, nil
}

func (s *shelf) size(ids []BlobID) (n int) {
	for _, id := range ids {
		n += len(s.blobs[id])
	}
	return n
}

// bench is a device with its vault, for tests.
type bench struct {
	t     testing.TB
	key   Key
	vault VaultID
	shelf *shelf
	seq   uint64
	last  *Commit
}

func newBench(t testing.TB) *bench {
	return &bench{t: t, key: testKey(t), vault: VaultID{1, 2, 3}, shelf: newShelf()}
}

func testKey(t testing.TB) Key {
	t.Helper()
	k, err := KeyFromBytes(bytes.Repeat([]byte{7}, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (b *bench) config(base *DataSet, mode Mode) WriterConfig {
	return WriterConfig{
		Key: b.key, Vault: b.vault, Base: base, Mode: mode, Snapshot: NewSnapshotID(), Seq: b.seq + 1,
		Now: time.Unix(1_700_000_000, 5), Put: b.shelf.put,
	}
}

func openBytes(body []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
}

// write backs up the whole tree.
func (b *bench) write(cfg WriterConfig, tr tree) (*Commit, *DataSet) {
	b.t.Helper()
	w, err := NewWriter(cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(tr)) {
		if _, err := w.Add(context.Background(), tr[name].item, openBytes(tr[name].body)); err != nil {
			b.t.Fatal(err)
		}
	}
	c, d, err := w.Finish(context.Background())
	if err != nil {
		b.t.Fatal(err)
	}
	if !c.Empty() {
		b.seq, b.last = cfg.Seq, c
	}
	return c, d
}

func (b *bench) full(tr tree) *DataSet {
	b.t.Helper()
	_, d := b.write(b.config(nil, Full), tr)
	return d
}

func (b *bench) incremental(base *DataSet, tr tree) (*Commit, *DataSet) {
	b.t.Helper()
	return b.write(b.config(base, Incremental), tr)
}

// load reads the last commit back from the shelf.
func (b *bench) load(c *Commit) *DataSet {
	b.t.Helper()
	d, err := LoadDataSet(context.Background(), b.key, b.vault, c.Snapshot, c.Header, b.shelf.fetch)
	if err != nil {
		b.t.Fatal(err)
	}
	return d
}

// verify restores everything and compares it with the tree.
func (b *bench) verify(d *DataSet, tr tree) {
	b.t.Helper()
	if d.Manifest().Len() != len(tr) {
		b.t.Fatalf("data set has %d items, want %d", d.Manifest().Len(), len(tr))
	}
	packs := NewPackReader(b.key, b.vault, b.shelf.one)
	for _, e := range d.Entries() {
		want, ok := tr[string(e.Name)]
		if !ok {
			b.t.Fatalf("unexpected %q", e.Name)
		}
		if !e.SameMetadata(want.item) || e.Target != want.item.Target || e.Class != want.item.Class {
			b.t.Fatalf("%q: metadata differ: %+v, want %+v", e.Name, e.Item, want.item)
		}
		if e.Type != manifest.File {
			continue
		}
		var got bytes.Buffer
		if err := e.Content(context.Background(), packs, &got); err != nil {
			b.t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want.body) {
			b.t.Fatalf("%q: contents differ", e.Name)
		}
	}
}
