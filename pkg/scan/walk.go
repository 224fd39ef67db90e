package scan

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"slices"
	"time"

	"github.com/reprovision/reprovision/pkg/userdata"
	"golang.org/x/sys/unix"
)

const (
	direntSize = 64 << 10
	// maxAttempts bounds how often an item is read that changes meanwhile; the
	// pause before each further attempt doubles.
	maxAttempts = 4
	firstPause  = 20 * time.Millisecond
)

var (
	errChanged = errors.New("changed while it was read")
	errSpecial = errors.New("not a file, directory or symlink")
)

// walk is one scan in progress. It holds one descriptor for each level of the
// tree: an item's name is at most userdata.MaxName long, so that is about 2,000.
type walk struct {
	cache Cache
	opts  Options
	now   func() time.Time

	examine Examiner

	sum   hash.Hash
	buf   []byte // contents
	dents []byte // directory entries
	pace  pacer

	out  *harvest
	res  Result
	told int64 // bytes of the file at hand that Progress knows of

	hands []*walk // further ones, for what is looked at side by side
}

func (w *walk) problem(n userdata.Name, reason Reason, err error) {
	w.res.Problems = append(w.res.Problems, Problem{Name: n, Reason: reason, Err: err})
}

// reasonOf sorts the error of reading an item.
func reasonOf(err error) Reason {
	switch {
	case errors.Is(err, errSpecial):
		return Special
	case errors.Is(err, errChanged), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EBUSY):
		return Busy // EAGAIN: another process holds a lease
	}
	return Unreadable
}

// tree looks at all that lies in an open directory and at the directory itself.
func (w *walk) tree(ctx context.Context, d dir) error {
	subdirs, listed, err := w.children(ctx, d)
	if err != nil {
		return err
	}
	slices.Sort(subdirs)
	for _, name := range subdirs {
		if err := w.descend(ctx, d, name); err != nil {
			return err
		}
	}
	if listed {
		w.directory(d)
	}
	return nil
}

// children looks at the entries of a directory and returns the names of those
// that are directories. listed is false when it could not be read to the end.
func (w *walk) children(ctx context.Context, d dir) (subdirs []string, listed bool, err error) {
	for {
		n, err := unix.ReadDirent(d.fd, w.dents)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.ENOENT) { // the directory was removed
			return subdirs, false, nil
		}
		if err != nil {
			w.problem(d.name, Unreadable, fmt.Errorf("cannot list: %w", err))
			return subdirs, false, nil
		}
		if n == 0 {
			return subdirs, true, nil
		}
		_, _, names := unix.ParseDirent(w.dents[:n], -1, nil)
		found, err := w.entries(ctx, d, names)
		if err != nil {
			return nil, false, err
		}
		subdirs = append(subdirs, found...)
	}
}

// progress tells how many bytes of the file at hand were looked through.
func (w *walk) progress(bytes int64) {
	if more := bytes - w.told; more > 0 && w.opts.Progress != nil {
		w.told = bytes
		w.opts.Progress(more)
	}
}

// entry looks at one entry of a directory and tells whether it is a directory in
// turn. An entry that changes while it is read is read again.
func (w *walk) entry(ctx context.Context, d dir, base string) (isDir bool, err error) {
	name, err := userdata.ParseName(string(d.name) + "/" + base)
	if err != nil {
		w.problem(d.name+"/"+userdata.Name(base), BadName, err)
		return false, ctx.Err()
	}
	w.told = 0
	for attempt := range maxAttempts {
		if attempt > 0 {
			if err := sleep(ctx, firstPause<<(attempt-1)); err != nil {
				return false, err
			}
		}
		isDir, err = w.visit(ctx, d, name, base)
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if !errors.Is(err, errChanged) {
			break
		}
	}
	if err != nil && !errors.Is(err, unix.ENOENT) { // ENOENT: it has gone
		w.problem(name, reasonOf(err), err)
	}
	return isDir, nil
}

func (w *walk) visit(ctx context.Context, d dir, name userdata.Name, base string) (isDir bool, err error) {
	st, err := lstatAt(d.fd, base)
	if err != nil {
		return false, err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return true, nil
	case unix.S_IFREG:
		return false, w.file(ctx, d, name, base, &st)
	case unix.S_IFLNK:
		return false, w.symlink(d, name, base, &st)
	}
	return false, errSpecial
}

// descend looks at a subdirectory and at all that lies in it.
func (w *walk) descend(ctx context.Context, parent dir, base string) error {
	d, err := openSubdir(parent, base)
	switch {
	case err == nil:
	case errors.Is(err, unix.ENOENT):
		return nil
	case errors.Is(err, ErrSymlinkInWay), errors.Is(err, unix.ENOTDIR): // it was a directory just now
		w.problem(parent.name+"/"+userdata.Name(base), Busy, errChanged)
		return nil
	default:
		w.problem(parent.name+"/"+userdata.Name(base), reasonOf(err), err)
		return nil
	}
	defer d.close()
	if d.mountedIn(parent) {
		w.res.Mounts = append(w.res.Mounts, d.name)
	}
	return w.tree(ctx, d)
}
