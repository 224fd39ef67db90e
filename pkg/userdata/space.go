package userdata

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Root is one directory of the user-data space. Its name is stable: a
// replacement device may keep the same root elsewhere.
type Root struct {
	Name  string // lower-case letters, digits, hyphens
	Class Class
	Path  string // absolute and clean
}

// Space is the user-data space of a device (reference sign 238): its roots, in
// the order of a restore. The zero Space is empty.
type Space struct {
	roots []Root
}

// NewSpace checks the roots: valid and unique names, known classes, absolute
// paths of which none lies in another.
func NewSpace(roots []Root) (Space, error) {
	var s Space
	for _, r := range roots {
		if err := s.admit(r); err != nil {
			return Space{}, err
		}
		r.Path = filepath.Clean(r.Path)
		s.roots = append(s.roots, r)
	}
	s.sortByRank()
	return s, nil
}

func (s *Space) admit(r Root) error {
	if !validRootName(r.Name) {
		return fmt.Errorf("root %q: want a name of lower-case letters, digits and hyphens", r.Name)
	}
	if _, err := ParseClass(string(r.Class)); err != nil {
		return fmt.Errorf("root %q: %w", r.Name, err)
	}
	if !filepath.IsAbs(r.Path) {
		return fmt.Errorf("root %q: path %q is not absolute", r.Name, r.Path)
	}
	for _, o := range s.roots {
		if o.Name == r.Name {
			return fmt.Errorf("root %q is named twice", r.Name)
		}
		if within(r.Path, o.Path) || within(o.Path, r.Path) {
			return fmt.Errorf("root %q (%s) and root %q (%s) overlap", r.Name, r.Path, o.Name, o.Path)
		}
	}
	return nil
}

func (s *Space) sortByRank() {
	sorted := make([]Root, 0, len(s.roots))
	for _, c := range Classes() {
		for _, r := range s.roots {
			if r.Class == c {
				sorted = append(sorted, r)
			}
		}
	}
	s.roots = sorted
}

func within(p, dir string) bool {
	p, dir = filepath.Clean(p), filepath.Clean(dir)
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}

// Roots returns the roots in the order of a restore.
func (s Space) Roots() []Root { return append([]Root(nil), s.roots...) }

// Root finds a root by its name.
func (s Space) Root(name string) (Root, bool) {
	for _, r := range s.roots {
		if r.Name == name {
			return r, true
		}
	}
	return Root{}, false
}

// ClassOf tells the class of an item; false when the space has no such root.
func (s Space) ClassOf(n Name) (Class, bool) {
	r, ok := s.Root(n.Root())
	return r.Class, ok
}

// Path is where the item lies on this device; "" when the space has no such
// root. Files are opened through os.Root, never by this path: it is for people.
func (s Space) Path(n Name) string {
	r, ok := s.Root(n.Root())
	if !ok {
		return ""
	}
	return filepath.Join(r.Path, filepath.FromSlash(n.Rel()))
}

// Locate turns a path that a person gave into an item's name. An absolute path
// must lie in a root; any other is taken as a name already.
func (s Space) Locate(p string) (Name, error) {
	if !filepath.IsAbs(p) {
		return s.locateName(p)
	}
	for _, r := range s.roots {
		if within(p, r.Path) {
			rel, err := filepath.Rel(r.Path, filepath.Clean(p))
			if err != nil {
				return "", fmt.Errorf("cannot place %q: %w", Printable(p), err)
			}
			return NewName(r.Name, filepath.ToSlash(rel))
		}
	}
	return "", fmt.Errorf("%w: %q lies in no root of the user-data space", ErrBadName, Printable(p))
}

func (s Space) locateName(p string) (Name, error) {
	n, err := ParseName(strings.TrimSuffix(p, "/"))
	if err != nil {
		return "", err
	}
	if _, ok := s.Root(n.Root()); !ok {
		return "", fmt.Errorf("%w: no root is called %q", ErrBadName, n.Root())
	}
	return n, nil
}
