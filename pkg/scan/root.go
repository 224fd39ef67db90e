package scan

import (
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/userdata"
	"golang.org/x/sys/unix"
)

// openRoot opens a root and says in which state it is. The root's own path may
// be a symlink or lead through some: the owner configured it. Without a
// directory to walk, the state says why and there is nothing to close.
func openRoot(r userdata.Root) (dir, RootState) {
	state := RootState{Name: r.Name}
	fd, err := retryOpen(unix.AT_FDCWD, r.Path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if err != nil {
		state.refuse(r, err)
		return dir{}, state
	}
	d := dir{fd: fd, name: userdata.Name(r.Name), class: r.Class}
	var st unix.Stat_t
	var fs unix.Statfs_t
	err = errors.Join(unix.Fstat(fd, &st), unix.Fstatfs(fd, &fs))
	if err != nil {
		d.close()
		state.refuse(r, err)
		return dir{}, state
	}
	d.dev = uint64(st.Dev)
	state.Device, state.Inode = d.dev, uint64(st.Ino)
	state.ReadOnly = int64(fs.Flags)&unix.ST_RDONLY != 0
	return d, state
}

// refuse sorts the error of an open into the state.
func (s *RootState) refuse(r userdata.Root, err error) {
	s.Err = fmt.Errorf("cannot open root %q (%s): %w", r.Name, userdata.Printable(r.Path), err)
	var st unix.Stat_t
	switch {
	case errors.Is(err, unix.ENOENT):
		s.Missing = true
	case errors.Is(err, unix.ENOTDIR) && unix.Stat(r.Path, &st) == nil:
		s.NotDirectory = true
	case errors.Is(err, unix.ENOTDIR): // a directory above it is none
		s.Missing = true
	default:
		s.Unreadable = true
	}
}

// inRoot opens a root, notes its state, and calls do if it can be walked.
func (w *walk) inRoot(r userdata.Root, do func(dir) error) error {
	d, state := openRoot(r)
	state.Mount = d.mountPoint(state, r)
	w.res.Roots = append(w.res.Roots, state)
	if !state.Available() {
		return nil
	}
	defer d.close()
	w.meet(d.fd, "", d.dev)
	return do(d)
}

// mountPoint is where the file system of a root is mounted that was opened, or else
// where its path would lie. Only the open sets off an automount.
func (d dir) mountPoint(state RootState, r userdata.Root) string {
	if !state.Available() {
		return mountPoint(r.Path)
	}
	s, err := statMount(d.fd, "")
	if err != nil {
		return ""
	}
	return s.point()
}
