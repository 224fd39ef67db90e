package scan

import (
	"context"
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
	"golang.org/x/sys/unix"
)

// maxTarget is the longest target of a symlink, PATH_MAX.
const maxTarget = 4096

// newItem makes an item of what the file system says about it.
func newItem(d dir, name userdata.Name, kind manifest.Type, st *unix.Stat_t) manifest.Item {
	return manifest.Item{
		Name: name, Class: d.class, Type: kind,
		Mode: uint32(st.Mode) & 0o7777, UID: st.Uid, GID: st.Gid, MTime: st.Mtim.Nano(),
	}
}

// directory adds the item of an open directory.
func (w *walk) directory(d dir) {
	var st unix.Stat_t
	if err := unix.Fstat(d.fd, &st); err != nil {
		w.problem(d.name, Unreadable, fmt.Errorf("cannot stat: %w", err))
		return
	}
	it := newItem(d, d.name, manifest.Dir, &st)
	var cut bool
	var err error
	if it.Xattrs, cut, err = readXattrs(d.fd); err != nil {
		w.problem(d.name, reasonOf(err), err)
		return
	}
	if cut {
		w.problem(d.name, Attributes, errXattrsCut)
	}
	w.out.add(it)
}

// symlink adds the item of a symlink, which has no extended attributes that an
// owner could set.
func (w *walk) symlink(d dir, name userdata.Name, base string, st *unix.Stat_t) error {
	buf := w.buf[:maxTarget+1]
	n, err := unix.Readlinkat(d.fd, base, buf)
	if errors.Is(err, unix.EINVAL) { // no longer a symlink
		return errChanged
	}
	if err != nil {
		return fmt.Errorf("cannot read the symlink: %w", err)
	}
	if n > maxTarget {
		return fmt.Errorf("cannot read the symlink: %w", unix.ENAMETOOLONG)
	}
	it := newItem(d, name, manifest.Symlink, st)
	it.Target = string(buf[:n])
	var to unix.Stat_t
	if err := unix.Fstatat(d.fd, base, &to, unix.AT_NO_AUTOMOUNT); errors.Is(err, unix.ENOENT) {
		w.res.Dangling[name] = true
	}
	w.out.add(it)
	return nil
}

// file adds the item of a regular file, from the cache where that is sure.
func (w *walk) file(ctx context.Context, d dir, name userdata.Name, base string, st *unix.Stat_t) error {
	w.meet(d.fd, base, st.Dev)
	var known *cacheEntry
	at, isKnown := w.cache.search(name)
	if isKnown {
		known = &w.cache.entries[at]
		name = known.name // so that it is in memory once
		if !w.opts.deep(d.class) && known.trusted(observe(st)) {
			w.keep(d, name, st, at, &known.Entry)
			w.progress(st.Size)
			return nil
		}
	}
	fd, now, err := openRegular(d.fd, base)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	e, err := w.read(ctx, d, name, fd, &now, known)
	if err != nil {
		return err
	}
	if !isKnown || !known.same(&e) {
		at = -1
	}
	w.keep(d, name, &now, at, &e)
	return nil
}

// keep adds a file's item and remembers the file, as the cache has it at that place, or
// not yet.
func (w *walk) keep(d dir, name userdata.Name, st *unix.Stat_t, at int, e *Entry) {
	it := newItem(d, name, manifest.File, st)
	it.Size, it.Digest, it.Kind, it.Xattrs = st.Size, e.Digest, e.kind(), e.Xattrs
	w.out.file(it, at, e)
	if e.Cut {
		w.problem(name, Attributes, errXattrsCut)
	}
}
