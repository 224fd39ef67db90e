package manifest

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// Manifest is the list of all items, sorted by name, each name once. A
// directory so stands before what lies in it.
type Manifest struct {
	items []Item
}

// New takes the items over, sorts them into a manifest and refuses a name that
// stands twice.
func New(items []Item) (Manifest, error) {
	if !slices.IsSortedFunc(items, compareItems) {
		slices.SortFunc(items, compareItems)
	}
	for i := 1; i < len(items); i++ {
		if items[i-1].Name == items[i].Name {
			return Manifest{}, fmt.Errorf("item %q stands twice", userdata.Printable(string(items[i].Name)))
		}
	}
	return Manifest{items: items}, nil
}

func compareItems(a, b Item) int { return strings.Compare(string(a.Name), string(b.Name)) }

// Items returns the items in order. The caller must not change them.
func (m Manifest) Items() []Item { return m.items }

// Len is the number of items.
func (m Manifest) Len() int { return len(m.items) }

// Find returns the item of that name.
func (m Manifest) Find(n userdata.Name) (Item, bool) {
	i, ok := m.search(n)
	if !ok {
		return Item{}, false
	}
	return m.items[i], true
}

// search returns where the item of a name is, or would have to be.
func (m Manifest) search(n userdata.Name) (int, bool) {
	return sort.Find(len(m.items), func(i int) int { return strings.Compare(string(n), string(m.items[i].Name)) })
}

// Finder finds items by name, and at once where the names come in the order of the
// manifest. It is not safe for concurrent use.
type Finder struct {
	m    Manifest
	next int // where the name after the last one is to be expected
}

// Finder returns one for the manifest.
func (m Manifest) Finder() *Finder { return &Finder{m: m} }

// Find is as Manifest.Find.
func (f *Finder) Find(n userdata.Name) (*Item, bool) {
	items := f.m.items
	if f.next >= len(items) || items[f.next].Name != n {
		i, found := f.m.search(n)
		if f.next = i; !found {
			return nil, false
		}
	}
	f.next++
	return &items[f.next-1], true
}

// Bytes is the size of all files together.
func (m Manifest) Bytes() int64 {
	var sum int64
	for _, it := range m.items {
		sum += it.Size
	}
	return sum
}

// Delta is what leads from one manifest to another.
type Delta struct {
	Put     []Item          // new, or different in contents or metadata
	Removed []userdata.Name // no longer there
}

// Empty tells whether the delta changes nothing.
func (d Delta) Empty() bool { return len(d.Put) == 0 && len(d.Removed) == 0 }

// Diff computes the delta from old to new, in order of names.
func Diff(old, new Manifest) Delta {
	var d Delta
	a, b := old.items, new.items
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].Name < b[0].Name:
			d.Removed = append(d.Removed, a[0].Name)
			a = a[1:]
		case len(a) == 0 || b[0].Name < a[0].Name:
			d.Put = append(d.Put, b[0])
			b = b[1:]
		default:
			if !a[0].Equal(b[0]) {
				d.Put = append(d.Put, b[0])
			}
			a, b = a[1:], b[1:]
		}
	}
	return d
}

// Apply carries out a delta.
func (m Manifest) Apply(d Delta) (Manifest, error) {
	if d.Empty() {
		return m, nil
	}
	gone := make(map[userdata.Name]bool, len(d.Removed)+len(d.Put))
	for _, n := range d.Removed {
		gone[n] = true
	}
	for _, it := range d.Put {
		gone[it.Name] = true
	}
	put, err := New(slices.Clone(d.Put))
	if err != nil {
		return Manifest{}, err
	}
	return m.Replace(func(n userdata.Name) bool { return gone[n] }, put)
}

// Replace returns the manifest without the items whose names are gone, and with
// those of another, which refuses a name that stands in both.
func (m Manifest) Replace(gone func(userdata.Name) bool, put Manifest) (Manifest, error) {
	items, next := make([]Item, 0, len(m.items)+len(put.items)), put.items
	for i := range m.items {
		name := m.items[i].Name
		for len(next) > 0 && next[0].Name < name {
			items, next = append(items, next[0]), next[1:]
		}
		if !gone(name) {
			items = append(items, m.items[i])
		}
	}
	return New(append(items, next...))
}
