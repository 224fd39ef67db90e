package vault

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// TestMain asks for fewer checks than rapid's 100, each of which makes several
// backups; -rapid.checks on the command line still decides.
func TestMain(m *testing.M) {
	if f := flag.Lookup("rapid.checks"); f != nil {
		if err := f.Value.Set("8"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// drawFile puts a file of drawn name and contents into the tree, unless
// something else of the tree stands in its way.
func drawFile(rt *rapid.T, tr tree) {
	root := rapid.SampledFrom([]string{"service-books", "keys", "preferences", "user-data"}).Draw(rt, "root")
	name := root + "/" + rapid.SampledFrom([]string{"a", "b", "a-b", "d/a", "d/b", "d/e/a", "\xff", "d.x"}).Draw(rt, "name")
	for p := userdata.Name(name).Parent(); ; p = p.Parent() {
		if f, ok := tr[string(p)]; ok && f.item.Type != 2 {
			return
		}
		if p.IsRoot() {
			break
		}
	}
	if f, ok := tr[name]; ok && f.item.Type == 2 {
		return
	}
	size := rapid.SampledFrom([]int{0, 1, 300, 300, 5000, 5000, smallFile - 1, 530_000}).Draw(rt, "size")
	tr.file(name, noise(uint64(rapid.IntRange(0, 3).Draw(rt, "contents")), size))
	f := tr[name]
	f.item.Mode = rapid.SampledFrom([]uint32{0o600, 0o4755}).Draw(rt, "mode")
	f.item.MTime = rapid.Int64().Draw(rt, "mtime")
	f.item.UID = rapid.Uint32().Draw(rt, "uid")
	f.item.Xattrs = rapid.SampledFrom([]map[string][]byte{nil, {"user.x": {0}}, {"a": {}, "b": {2}}}).Draw(rt, "xattrs")
	tr[name] = f
}

func drawRemoval(rt *rapid.T, tr tree) {
	if len(tr) == 0 {
		return
	}
	gone := userdata.Name(rapid.SampledFrom(slices.Sorted(maps.Keys(tr))).Draw(rt, "gone"))
	for name := range maps.Clone(tr) {
		if userdata.Name(name).Below(gone) {
			delete(tr, name)
		}
	}
}

// TestProperties makes backups of drawn changes and holds each snapshot, as it
// was made, as it loads and as the device keeps it, against the tree.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t)
		tr := tree{}
		var d *DataSet
		for step := range rapid.IntRange(1, 5).Draw(rt, "backups") {
			for range rapid.IntRange(0, 4).Draw(rt, "changes") {
				rapid.SampledFrom([]func(*rapid.T, tree){drawFile, drawFile, drawRemoval}).Draw(rt, "change")(rt, tr)
			}
			mode := rapid.SampledFrom([]Mode{Incremental, Incremental, Full}).Draw(rt, "mode")
			if d == nil {
				mode = Full
			}
			cfg := b.config(d, mode)
			cfg.Repack[Bulk] = rapid.Bool().Draw(rt, "repack")
			before := d
			c, next := b.write(cfg, tr)
			checkCommit(rt, before, next, c)
			b.verify(next, tr)
			if c.Empty() {
				continue
			}
			d = next
			b.verify(b.load(c), tr)
			b.verify(reencode(rt, d), tr)
			if mode == Incremental && step > 0 && !cfg.Repack[Bulk] {
				if again, _ := b.incremental(d, tr); !again.Empty() {
					rt.Fatal("the same once more is not empty")
				}
			}
		}
	})
}

func reencode(rt *rapid.T, d *DataSet) *DataSet {
	enc, err := d.Encode()
	if err != nil {
		rt.Fatal(err)
	}
	got, err := DecodeDataSet(enc)
	if err != nil {
		rt.Fatal(err)
	}
	if !reflect.DeepEqual(got.allBlobs(), d.allBlobs()) {
		rt.Fatal("the copy has other blobs")
	}
	return got
}

// checkCommit follows the commit as a store would.
func checkCommit(rt *rapid.T, before, next *DataSet, c *Commit) {
	var head *SnapshotRecord
	if before != nil {
		h := before.Header()
		head = &SnapshotRecord{Snapshot: h.Snapshot, Seq: h.Seq, Blobs: before.allBlobs()}
	}
	got, err := c.Follow(head)
	if err != nil {
		rt.Fatal(err)
	}
	want := next.allBlobs()
	if len(got.Blobs) != len(want) || len(without(want, got.Blobs)) > 0 {
		rt.Fatalf("the commit leads to %v, the data set has %v", got.Blobs, want)
	}
	if !slices.Equal(c.Critical, next.Blobs(Critical)) {
		rt.Fatal("the critical blobs differ")
	}
	if shared := without(next.Blobs(Critical), next.Blobs(Bulk)); len(shared) != len(c.Critical) {
		rt.Fatal(fmt.Sprint("the parts share blobs: ", shared))
	}
}
