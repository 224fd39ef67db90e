package manifest_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

func anyManifest(t *rapid.T, label string) manifest.Manifest {
	var items []manifest.Item
	for i := range 12 {
		if !rapid.Bool().Draw(t, fmt.Sprintf("%s has %d", label, i)) {
			continue
		}
		items = append(items, manifest.Item{
			Name: userdata.Name(fmt.Sprintf("keys/%02d", i)), Class: userdata.Keys, Type: manifest.File,
			Mode: rapid.SampledFrom([]uint32{0o600, 0o644}).Draw(t, "mode"),
			Size: rapid.Int64Range(0, 3).Draw(t, "size"),
		})
	}
	m, err := manifest.New(items)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDiffThenApplyLeadsToTheOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old, next := anyManifest(t, "old"), anyManifest(t, "next")
		delta := manifest.Diff(old, next)
		got, err := old.Apply(delta)
		if err != nil {
			t.Fatal(err)
		}
		if !manifest.Diff(got, next).Empty() || got.Len() != next.Len() {
			t.Fatalf("applied delta leads to %v, want %v", got.Items(), next.Items())
		}
		if touched := len(delta.Put) + len(delta.Removed); touched > old.Len()+next.Len() {
			t.Fatalf("delta of %d items between %d and %d", touched, old.Len(), next.Len())
		}
	})
}

func TestNewRefusesANameThatStandsTwice(t *testing.T) {
	it := manifest.Item{Name: "keys/a"}
	if _, err := manifest.New([]manifest.Item{it, it}); err == nil {
		t.Error("taken")
	}
}

func TestFind(t *testing.T) {
	m, err := manifest.New([]manifest.Item{{Name: "keys/b"}, {Name: "keys"}, {Name: "keys/a", Size: 7}})
	if err != nil {
		t.Fatal(err)
	}
	if it, ok := m.Find("keys/a"); !ok || it.Size != 7 {
		t.Error(it, ok)
	}
	if _, ok := m.Find("keys/c"); ok {
		t.Error("found what is not there")
	}
	if m.Items()[0].Name != "keys" || m.Bytes() != 7 {
		t.Error("not sorted, or not summed")
	}
}

func TestSameness(t *testing.T) {
	file := manifest.Item{Name: "keys/a", Type: manifest.File, Mode: 0o600, MTime: 5, Size: 1, Digest: manifest.Digest{1}}
	for what, c := range map[string]struct {
		change             func(*manifest.Item)
		contents, metadata bool
	}{
		"nothing":  {func(*manifest.Item) {}, true, true},
		"digest":   {func(i *manifest.Item) { i.Digest[0] = 2 }, false, true},
		"mode":     {func(i *manifest.Item) { i.Mode = 0o644 }, true, false},
		"owner":    {func(i *manifest.Item) { i.UID = 9 }, true, false},
		"mtime":    {func(i *manifest.Item) { i.MTime = 6 }, true, false},
		"xattr":    {func(i *manifest.Item) { i.Xattrs = map[string][]byte{"user.a": {1}} }, true, false},
		"no xattr": {func(i *manifest.Item) { i.Xattrs = map[string][]byte{} }, true, true},
	} {
		other := file
		c.change(&other)
		if file.SameContents(other) != c.contents || file.SameMetadata(other) != c.metadata {
			t.Errorf("%s: contents %v, metadata %v", what, file.SameContents(other), file.SameMetadata(other))
		}
	}
	dir, later := manifest.Item{Type: manifest.Dir, MTime: 1}, manifest.Item{Type: manifest.Dir, MTime: 2}
	if !dir.SameMetadata(later) {
		t.Error("a directory's mtime counts")
	}
}

// TestFinder finds what Find finds, in whatever order it is asked.
func TestFinder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := anyManifest(t, "m")
		f := m.Finder()
		for i := range 40 {
			n := userdata.Name(fmt.Sprintf("keys/%02d", rapid.SampledFrom([]int{i % 12, rapid.IntRange(0, 13).Draw(t, "any")}).Draw(t, "name")))
			want, known := m.Find(n)
			if got, ok := f.Find(n); ok != known || ok && !got.Equal(want) {
				t.Fatalf("%s: %v %+v, want %v %+v", n, ok, got, known, want)
			}
		}
	})
}
