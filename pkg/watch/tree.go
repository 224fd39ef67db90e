package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"

	"github.com/reprovision/reprovision/pkg/userdata"
	"golang.org/x/sys/unix"
)

const treeMask = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MODIFY | unix.IN_CLOSE_WRITE | unix.IN_ATTRIB |
	unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_EXCL_UNLINK | unix.IN_ONLYDIR

// node is a watched directory.
type node struct {
	wd       int32
	name     userdata.Name
	parent   *node
	children map[string]*node // watched ones
}

// tree watches every directory of some roots through inotify.
type tree struct {
	ino   *inotify
	log   *slog.Logger
	hints *coalescer
	paths map[string]string // of the roots, by name
	roots map[string]*node
	dirs  map[int32]*node
	full  bool            // the kernel grants no more watches; said once
	blind map[string]bool // roots with directories that are not watched
}

func openTree(hints *coalescer, log *slog.Logger) (*tree, error) {
	ino, err := openInotify()
	if err != nil {
		return nil, err
	}
	return &tree{
		ino: ino, log: log, hints: hints, paths: make(map[string]string),
		roots: make(map[string]*node), dirs: make(map[int32]*node), blind: make(map[string]bool),
	}, nil
}

// add watches a root that lies at the path.
func (t *tree) add(root, path string) error {
	t.remove(root)
	dir, err := os.OpenRoot(path)
	if err != nil {
		return fmt.Errorf("cannot open the root: %w", err)
	}
	defer dir.Close()
	n := &node{wd: -1, name: userdata.Name(root), children: make(map[string]*node)}
	if err := t.grow(dir, n); err != nil {
		t.drop(n)
		return err
	}
	t.paths[root], t.roots[root] = path, n
	return nil
}

// remove ends the watch of a root.
func (t *tree) remove(root string) {
	if n, ok := t.roots[root]; ok {
		t.drop(n)
		delete(t.roots, root)
		delete(t.paths, root)
		delete(t.blind, root)
	}
}

// grow watches a directory and all below it. The watch begins before the
// directory is listed, so that nothing that comes later is missed.
func (t *tree) grow(root *os.Root, n *node) error {
	f, err := root.Open(n.name.Rel())
	if err != nil {
		return fmt.Errorf("cannot open a directory: %w", err)
	}
	// Through the descriptor, so that no symlink that took the directory's place
	// leads elsewhere.
	wd, err := t.ino.add(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), treeMask)
	if err != nil {
		_ = f.Close()
		return t.refused(err)
	}
	t.place(n, wd)
	subdirs := listDirs(f)
	_ = f.Close()
	for _, base := range subdirs {
		t.sprout(root, n, base)
	}
	return nil
}

// refused says once that there are too few watches. The watch goes on with those
// that there are: periodic scans see the rest.
func (t *tree) refused(err error) error {
	if errors.Is(err, unix.ENOSPC) && !t.full {
		t.full = true
		t.log.Warn("not all directories can be watched: fs.inotify.max_user_watches is too small",
			"watched", len(t.dirs))
	}
	return fmt.Errorf("cannot watch a directory: %w", err)
}

// place enters a node under its watch descriptor. If the kernel gives that of
// another node, it is the same directory under its former name.
func (t *tree) place(n *node, wd int32) {
	if old := t.dirs[wd]; old != nil && old != n {
		for _, child := range old.children {
			t.drop(child)
		}
		old.wd = -1
		t.detach(old)
	}
	n.wd = wd
	t.dirs[wd] = n
}

// sprout watches a directory that has come into a watched one.
func (t *tree) sprout(root *os.Root, parent *node, base string) {
	if old := parent.children[base]; old != nil {
		t.drop(old)
	}
	name, err := userdata.ParseName(path.Join(string(parent.name), base))
	if err != nil {
		return // no item can have it
	}
	st, err := root.Lstat(name.Rel())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.blind[name.Root()] = true
	}
	if err != nil || !st.IsDir() {
		return
	}
	n := &node{wd: -1, name: name, parent: parent, children: make(map[string]*node)}
	parent.children[base] = n
	if err := t.grow(root, n); err != nil {
		t.drop(n)
		t.blind[name.Root()] = t.blind[name.Root()] || !errors.Is(err, fs.ErrNotExist)
		t.log.Debug("a directory is not watched", "name", userdata.Printable(string(name)), "err", err)
	}
}

// drop ends the watches of a directory and of all below it.
func (t *tree) drop(n *node) {
	for _, child := range n.children {
		t.drop(child)
	}
	if n.wd >= 0 && t.dirs[n.wd] == n {
		t.ino.remove(n.wd)
	}
	t.detach(n)
}

func (t *tree) detach(n *node) {
	if n.wd >= 0 && t.dirs[n.wd] == n {
		delete(t.dirs, n.wd)
	}
	base := path.Base(string(n.name))
	if n.parent != nil && n.parent.children[base] == n {
		delete(n.parent.children, base)
	}
}

// read takes in what has happened and returns the roots whose watch has ended.
func (t *tree) read() (lost []string, err error) {
	events, err := t.ino.read()
	for _, e := range events {
		if e.mask&unix.IN_Q_OVERFLOW != 0 {
			for root := range t.roots {
				lost = append(lost, root)
			}
			continue
		}
		n := t.dirs[e.wd]
		if n == nil {
			continue
		}
		if e.mask&unix.IN_UNMOUNT != 0 {
			lost = append(lost, n.name.Root())
		}
		t.take(n, e)
	}
	return lost, err
}

// take handles one event in a watched directory.
func (t *tree) take(n *node, e inotifyEvent) {
	if e.mask&unix.IN_IGNORED != 0 { // the kernel has ended the watch
		t.detach(n)
		return
	}
	name, err := userdata.ParseName(path.Join(string(n.name), e.name))
	if err != nil {
		return // no item can have it
	}
	t.hint(name)
	if e.mask&unix.IN_ISDIR == 0 || e.name == "" {
		return
	}
	if child := n.children[e.name]; child != nil && e.mask&(unix.IN_MOVED_FROM|unix.IN_DELETE) != 0 {
		t.drop(child)
	}
	if e.mask&(unix.IN_MOVED_TO|unix.IN_CREATE) != 0 {
		t.follow(n, e.name)
		t.hint(name) // again: the first may have been heeded before the watch began
	}
}

// hint tells of an item, or where directories are not watched that anything may have
// changed.
func (t *tree) hint(name userdata.Name) {
	if t.blind[name.Root()] {
		t.hints.rescan(name.Root(), false)
		return
	}
	t.hints.add(name)
}

// follow watches a new directory. Its hint stands for all that has come into it
// before the watch began.
func (t *tree) follow(parent *node, base string) {
	root, err := os.OpenRoot(t.paths[parent.name.Root()])
	if err != nil { // the anchor tells what became of the root, if it has gone
		t.blind[parent.name.Root()] = t.blind[parent.name.Root()] || !errors.Is(err, fs.ErrNotExist)
		return
	}
	defer root.Close()
	t.sprout(root, parent, base)
}

// listDirs returns the names of the directories in a directory, as far as it can
// be read.
func listDirs(f *os.File) []string {
	var dirs []string
	for {
		entries, err := f.ReadDir(512)
		for _, e := range entries {
			if e.IsDir() {
				dirs = append(dirs, e.Name())
			}
		}
		if err != nil { // io.EOF in the end
			return dirs
		}
	}
}
