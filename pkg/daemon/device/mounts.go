package device

import (
	"cmp"
	"maps"
	"path/filepath"
	"slices"

	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// mounts is where the user data lay: what is not mounted is neither erased nor to
// be restored into the directory below.
type mounts struct {
	Roots  map[string]string      `cbor:"1,keyasint"` // mount point by name of the root
	Inside map[userdata.Name]bool `cbor:"2,keyasint"` // mount points inside the roots
	// Sifted tells that a file system is mounted at each of them. Earlier versions noted
	// also what the daemon's own sandbox had mounted.
	Sifted bool `cbor:"3,keyasint"`
}

// noteMounts keeps in mind where the user data lies; mu is held. A mount point
// counts until there is something in it though nothing is mounted.
func (b *book) noteMounts(now scan.Result, report detect.Report) error {
	m := mounts{Roots: maps.Clone(b.mounts.Roots), Inside: make(map[userdata.Name]bool), Sifted: true}
	if m.Roots == nil {
		m.Roots = make(map[string]string)
	}
	for _, r := range now.Roots {
		if r.Available() && r.Mount != "" && !report.Unmounted[r.Name] {
			m.Roots[r.Name] = r.Mount
		}
	}
	for _, n := range now.Mounts {
		m.Inside[n] = true
	}
	for n := range b.mounts.Inside {
		if !m.Inside[n] && !slices.ContainsFunc(now.Manifest.Items(), func(it manifest.Item) bool {
			return it.Name != n && it.Name.Below(n)
		}) {
			m.Inside[n] = true
		}
	}
	if b.mounts.Sifted && maps.Equal(m.Roots, b.mounts.Roots) && maps.Equal(m.Inside, b.mounts.Inside) {
		return nil
	}
	b.mounts = m
	return b.state.store(keyMounts, m)
}

// siftMounts drops, of what an earlier version noted, the places that lay on the same file
// system as what surrounds them now: nothing had brought that there. It goes by the number of
// the device, which stays the same from one start of the daemon to the next, and mostly from
// one boot to the next; what cannot be told stays noted.
func (b *book) siftMounts(space userdata.Space) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mounts.Sifted {
		return
	}
	deepest := func(a, c userdata.Name) int { return cmp.Compare(len(c), len(a)) }
	for _, n := range slices.SortedFunc(maps.Keys(b.mounts.Inside), deepest) {
		path := space.Path(n)
		mount, dev := scan.Ground(path)
		if real, err := filepath.EvalSymlinks(path); (err != nil || real != mount) && b.layOn(n, dev) {
			delete(b.mounts.Inside, n)
		}
	}
	for name, was := range b.mounts.Roots {
		root, known := space.Root(name)
		if !known || !scan.NotMounted(was, root.Path) {
			continue
		}
		if _, dev := scan.Ground(root.Path); b.layOn(userdata.Name(name), dev) {
			delete(b.mounts.Roots, name)
		}
	}
}

// layOn tells whether files that were saved of a place lay on a device, without those below
// mount points inside of it; mu is held.
func (b *book) layOn(place userdata.Name, dev uint64) bool {
	return dev != 0 && slices.ContainsFunc(b.manifest().Items(), func(it manifest.Item) bool {
		at, known := b.seen.Get(it.Name)
		return known && at.Dev == dev && it.Name.Below(place) && !b.inside(it.Name, place)
	})
}

// inside tells whether a name lies below a mount point inside a place; mu is held.
func (b *book) inside(n, place userdata.Name) bool {
	for ; n != place && !n.IsRoot(); n = n.Parent() {
		if b.mounts.Inside[n] {
			return true
		}
	}
	return false
}
