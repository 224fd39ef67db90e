package scan

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// Refresh brings what an earlier scan of the whole space saw up to date, where
// something is said to have happened to the names. It looks at each of them, at all
// that lies below those that are directories, at the directories that hold them and
// what else lies directly in these, and at the other names of what it so finds
// changed, which hard links give. Of everything else it says what it said before.
func (s *Scanner) Refresh(ctx context.Context, before Result, names []userdata.Name, opts Options) (Result, error) {
	r := &refresh{
		walk: s.newWalk(before.Cache, opts), before: before, named: make(map[userdata.Name]bool),
		around: make(map[userdata.Name]bool), kept: make(map[userdata.Name]bool), whole: make(map[userdata.Name]bool),
	}
	for _, n := range r.admit(s.space, names) {
		r.named[n] = true
		r.around[n.Parent()] = true
	}
	if err := r.inRoots(s.space, slices.Sorted(maps.Keys(r.around)), func(d dir, n userdata.Name) error {
		return r.lookAround(ctx, d, n)
	}); err != nil {
		return Result{}, err
	}
	if err := r.inRoots(s.space, r.links(), func(d dir, n userdata.Name) error {
		r.whole[n] = true
		return r.one(ctx, d, n)
	}); err != nil {
		return Result{}, err
	}
	part, err := r.finish()
	if err != nil {
		return Result{}, err
	}
	return before.replace(r.gone, part)
}

// refresh is a walk through a part of the space.
type refresh struct {
	*walk
	before Result
	named  map[userdata.Name]bool // looked at with all that lies below them
	around map[userdata.Name]bool // directories whose entries are looked at
	kept   map[userdata.Name]bool // directories among those entries that are as before
	whole  map[userdata.Name]bool // of what the names stand for, and what lies below, nothing is as before
}

// inRoots does something with each of the names, in their order, in their roots.
func (r *refresh) inRoots(space userdata.Space, names []userdata.Name, do func(root dir, n userdata.Name) error) error {
	for _, root := range space.Roots() {
		mine := slices.DeleteFunc(slices.Clone(names), func(n userdata.Name) bool { return n.Root() != root.Name })
		if len(mine) == 0 {
			continue
		}
		r.res.Roots = slices.DeleteFunc(r.res.Roots, func(s RootState) bool { return s.Name == root.Name })
		err := r.inRoot(root, func(d dir) error {
			for _, n := range mine {
				if err := do(d, n); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if state, _ := r.res.Root(root.Name); !state.Available() {
			r.whole[userdata.Name(root.Name)] = true
		}
	}
	return nil
}

// lookAround looks at a directory that holds what is named, unless it has been
// looked into already: a directory comes before what lies in it.
func (r *refresh) lookAround(ctx context.Context, root dir, n userdata.Name) error {
	switch {
	case coveredBy(r.whole, n):
		return nil
	case r.named[n] && n.IsRoot():
		r.whole[n] = true
		return r.tree(ctx, root)
	}
	return r.lookAt(ctx, root, n)
}

// lookAt looks at one directory and at what lies directly in it.
func (r *refresh) lookAt(ctx context.Context, root dir, n userdata.Name) error {
	d := root
	if !n.IsRoot() {
		parent, err := openParent(root, n)
		if err == nil {
			d, err = r.openMount(parent, base(n))
			parent.close()
		}
		if err != nil {
			return r.closed(ctx, n, err)
		}
		defer d.close()
	}
	subdirs, listed, err := r.children(ctx, d)
	if err != nil {
		return err
	}
	for _, base := range slices.Sorted(slices.Values(subdirs)) {
		if err := r.enter(ctx, d, base); err != nil {
			return err
		}
	}
	if listed {
		r.directory(d)
	}
	return nil
}

// openMount opens a subdirectory and takes note of it if something is mounted there.
func (r *refresh) openMount(parent dir, base string) (dir, error) {
	d, err := openSubdir(parent, base)
	if err == nil && d.mountedIn(parent) {
		r.res.Mounts = append(r.res.Mounts, d.name)
	}
	return d, err
}

// closed notes a directory that cannot be looked into, or that is none any more.
func (r *refresh) closed(ctx context.Context, n userdata.Name, err error) error {
	r.whole[n] = true
	if !errors.Is(err, ErrSymlinkInWay) && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) {
		r.problem(n, reasonOf(err), err)
	}
	return ctx.Err()
}

// enter goes into a subdirectory that is named, or new; another is as before.
func (r *refresh) enter(ctx context.Context, d dir, base string) error {
	n := d.name + "/" + userdata.Name(base)
	was, known := r.before.Manifest.Find(n)
	if known && was.Type == manifest.Dir && !r.named[n] {
		r.kept[n] = true
		return nil
	}
	r.whole[n] = true
	return r.descend(ctx, d, base)
}

// inode is what the names of one file have in common.
type inode struct{ dev, ino uint64 }

// links finds further names of the files that are not as they were before.
func (r *refresh) links() []userdata.Name {
	changed := make(map[inode]bool)
	for i := range r.out.files {
		is := &r.out.files[i]
		was, known := r.before.Cache.find(is.name)
		if known && was.Observation == is.Observation {
			continue
		}
		changed[inode{is.Dev, is.Ino}] = true
		if known {
			changed[inode{was.Dev, was.Ino}] = true
		}
	}
	for n := range r.named {
		if was, known := r.before.Cache.find(n); known {
			changed[inode{was.Dev, was.Ino}] = true
		}
	}
	if len(changed) == 0 {
		return nil
	}
	var others []userdata.Name
	for i := range r.before.Cache.entries {
		e := &r.before.Cache.entries[i]
		if changed[inode{e.Dev, e.Ino}] && !r.gone(e.name) {
			others = append(others, e.name)
		}
	}
	return others
}

// gone tells whether what was said of a name before no longer counts.
func (r *refresh) gone(n userdata.Name) bool {
	if r.around[n] {
		return true
	}
	for {
		if r.whole[n] {
			return true
		}
		if n.IsRoot() {
			return false
		}
		parent := n.Parent()
		if r.around[parent] && !r.kept[n] {
			return true
		}
		n = parent
	}
}

// replace returns the result without what is gone, and with what a later look saw.
func (r Result) replace(gone func(userdata.Name) bool, part Result) (Result, error) {
	m, err := r.Manifest.Replace(gone, part.Manifest)
	if err != nil {
		return Result{}, fmt.Errorf("cannot list the items: %w", err)
	}
	dangling := maps.Clone(r.Dangling)
	maps.DeleteFunc(dangling, func(n userdata.Name, _ bool) bool { return gone(n) })
	maps.Copy(dangling, part.Dangling)
	types := maps.Clone(r.FSTypes)
	maps.Copy(types, part.FSTypes)
	out := Result{
		Dangling: dangling, FSTypes: types, Manifest: m, Cache: r.Cache.merge(gone, part.Cache), Roots: slices.Clone(r.Roots),
		Problems:  append(slices.DeleteFunc(slices.Clone(r.Problems), func(p Problem) bool { return gone(p.Name) }), part.Problems...),
		Mounts:    append(slices.DeleteFunc(slices.Clone(r.Mounts), gone), part.Mounts...),
		FilesRead: r.FilesRead + part.FilesRead, BytesRead: r.BytesRead + part.BytesRead,
	}
	slices.SortStableFunc(out.Problems, func(a, b Problem) int { return strings.Compare(string(a.Name), string(b.Name)) })
	for i, root := range out.Roots {
		if now, looked := part.Root(root.Name); looked {
			out.Roots[i] = now
		}
	}
	return out, nil
}
