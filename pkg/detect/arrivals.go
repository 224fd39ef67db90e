package detect

import (
	"path"
	"slices"
	"strings"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// arrivals are the items that the reference does not know, and the contents that
// it does not have under their name: what is missing may be there under another.
type arrivals struct {
	now   scan.Result
	same  map[string]userdata.Name        // by contents
	kin   map[string]userdata.Name        // by root and identity
	start map[uint32][]userdata.Name      // by their first bytes
	near  map[string][]userdata.Name      // by the name up to each of its dots
	fresh map[userdata.Name]bool          // all new names
	moved map[userdata.Name]userdata.Name // found before
	seen  scan.Cache                      // the reference's
}

// leastMoved is the size from which on equal contents are no coincidence.
const leastMoved = 8

func newArrivals(ref Reference, now scan.Result) arrivals {
	a := arrivals{
		now: now, same: make(map[string]userdata.Name), kin: make(map[string]userdata.Name),
		near:  make(map[string][]userdata.Name),
		fresh: make(map[userdata.Name]bool), start: make(map[uint32][]userdata.Name), seen: ref.Seen, moved: ref.Moved,
	}
	saved := ref.Manifest.Finder()
	for _, it := range now.Manifest.Items() {
		was, known := saved.Find(it.Name)
		if !known {
			a.add(it)
		}
		if known && was.SameContents(it) {
			continue
		}
		if key := contentsKey(it); key != "" {
			a.same[key] = it.Name
		}
	}
	return a
}

func (a arrivals) add(it manifest.Item) {
	a.fresh[it.Name] = true
	if key := kinKey(it); key != "" {
		a.kin[key] = it.Name
	}
	if start, long := a.now.Nature(it.Name).Start(); long {
		a.start[start] = append(a.start[start], it.Name)
	}
	for i, c := range it.Name {
		if c == '.' && it.Type == manifest.File {
			a.near[string(it.Name[:i])] = append(a.near[string(it.Name[:i])], it.Name)
		}
	}
}

// contentsKey is empty for what has no contents to speak of.
func contentsKey(it manifest.Item) string {
	switch {
	case it.Type == manifest.File && it.Size >= leastMoved:
		return string(it.Digest[:])
	case it.Type == manifest.Symlink:
		return it.Name.Root() + ">" + it.Target
	}
	return ""
}

// kinKey is empty for items that have no identity apart from their name.
func kinKey(it manifest.Item) string {
	if !strings.Contains(it.Kind, ":") {
		return ""
	}
	return it.Name.Root() + "/" + it.Kind
}

// of finds where an item that is missing went: its contents under a new name, or
// a new version of it, or the file that it was packed into or unpacked to.
func (a arrivals) of(want manifest.Item) (userdata.Name, bool) {
	if to, known := a.moved[want.Name]; known {
		if _, there := a.now.Manifest.Find(to); there {
			return to, true
		}
	}
	if key := contentsKey(want); key != "" {
		if to, there := a.same[key]; there {
			return to, true
		}
	}
	if key := kinKey(want); key != "" {
		if to, there := a.kin[key]; there {
			return to, true
		}
	}
	if to, there := a.renamed(want); there {
		return to, true
	}
	return a.packed(want)
}

// renamed finds a file that was renamed and then changed: for a good part it is the
// old one. Its inode is no evidence, for a new file is often given that of one just
// deleted.
func (a arrivals) renamed(want manifest.Item) (userdata.Name, bool) {
	was, known := a.seen.Get(want.Name)
	if !known || want.Type != manifest.File || was.Digest != want.Digest || private(want) {
		return "", false
	}
	start, long := was.Start()
	if !long {
		return "", false
	}
	for _, to := range a.start[start] {
		if to.Root() == want.Name.Root() && a.now.Nature(to).Akin(was.Nature) {
			return to, true
		}
	}
	return "", false
}

// private tells whether an item is a private key: another one is never a version of
// it, however much they have in common.
func private(want manifest.Item) bool {
	return formatOf(want.Kind).Closed() != 0 && kinKey(want) == ""
}

// packed finds the file that another was packed into or unpacked to. A log is
// often numbered before it is packed.
func (a arrivals) packed(want manifest.Item) (userdata.Name, bool) {
	for _, n := range a.near[string(want.Name)] {
		if nature := a.now.Nature(n); isPacked(n) && nature.Kind != "" && nature.Broken == "" {
			return n, true
		}
	}
	if isPacked(want.Name) {
		to := userdata.Name(strings.TrimSuffix(string(want.Name), path.Ext(string(want.Name))))
		if a.fresh[to] {
			return to, true
		}
	}
	return "", false
}

// isPacked tells whether a name is one that the common programs give to what they
// pack or encrypt.
func isPacked(n userdata.Name) bool {
	return slices.Contains([]string{".gz", ".bz2", ".xz", ".zst", ".zip", ".gpg", ".asc", ".pgp"}, path.Ext(string(n)))
}

// unreadable tells whether contents are noise to whoever has no key: they are in no format
// but one that hides them.
func unreadable(n scan.Nature) bool {
	return n.Dense && (n.Kind == "" || formatOf(n.Kind).Sealed())
}

// noise finds a new file beside the place of one that is missing that bears its
// name, with something added, and that nobody can read without a key.
func (a arrivals) noise(want manifest.Item) (userdata.Name, bool) {
	for _, n := range a.near[string(want.Name)] {
		if nature := a.now.Nature(n); unreadable(nature) {
			return n, true
		}
	}
	return "", false
}
