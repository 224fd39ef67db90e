package reprovision

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// root opens a root, making it if it is gone. A root that cannot be written to
// says so once, for all its items, before anything is touched.
func (j *job) root(name string) (*os.Root, error) {
	if r, ok := j.roots[name]; ok {
		return r, nil
	}
	if err, known := j.closed[name]; known {
		return nil, err
	}
	r, err := j.openRoot(name)
	if err != nil {
		j.closed[name] = err
		return nil, err
	}
	j.roots[name] = r
	return r, nil
}

func (j *job) openRoot(name string) (*os.Root, error) {
	where, ok := j.Space.Root(name)
	if !ok {
		return nil, fmt.Errorf("no root is called %q on this device", name)
	}
	if err := j.mounted(where); err != nil {
		return nil, err
	}
	made, err := makeRoot(where, j.Run)
	if err != nil {
		return nil, fmt.Errorf("cannot make the root %q: %w", name, err)
	}
	r, err := os.OpenRoot(where.Path)
	if err != nil {
		return nil, fmt.Errorf("cannot open the root %q: %w", name, err)
	}
	if want, saved := j.DataSet.Entry(userdata.Name(name)); made && saved {
		if err := dirMetadata(r, ".", want.Item); err != nil {
			return nil, errors.Join(fmt.Errorf("cannot restore the root %q: %w", name, err), r.Close())
		}
	}
	if err := probe(r); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot write to the root %q (%s): %w", name, where.Path, err), r.Close())
	}
	j.clean(r, name)
	return r, nil
}

// mounted refuses a root whose file system is not mounted: what was restored would lie
// in the directory below, and out of sight as soon as it is mounted again.
func (j *job) mounted(where userdata.Root) error {
	if at := j.Mounts[where.Name]; scan.NotMounted(at, where.Path) {
		return fmt.Errorf("cannot restore the root %q: nothing is mounted at %s", where.Name, userdata.Printable(at))
	}
	return nil
}

// makeRoot makes the directory of a root that is gone, and tells whether it
// did. A symlink to a directory serves as a root: the owner put it there.
// Anything else in the place goes to the quarantine.
func makeRoot(where userdata.Root, q *Run) (made bool, err error) {
	info, err := os.Stat(where.Path)
	switch {
	case err == nil && info.IsDir():
		return false, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	if err := clearRoot(where, q); err != nil {
		return false, err
	}
	return true, os.MkdirAll(where.Path, 0o700)
}

// clearRoot takes away what is no directory in the place of a root: a file, or
// a symlink that leads to none. It is kept beside the directory that holds the
// root's items in the quarantine; no root's name has a dot.
func clearRoot(where userdata.Root, q *Run) error {
	parent, err := os.OpenRoot(filepath.Dir(where.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	base := filepath.Base(where.Path)
	info, err := occupant(parent, base)
	if err != nil || info == nil {
		return err
	}
	if err := keep(parent, base, userdata.Name(where.Name+".root"), info, q); err != nil {
		return err
	}
	return parent.Remove(base)
}

// probe makes sure that files can be made in the root, without making one: that
// would move the directory's modification time.
func probe(r *os.Root) error {
	d, err := r.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	if err := unix.Faccessat(int(d.Fd()), ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return &os.SyscallError{Syscall: "access", Err: err}
	}
	return nil
}

func (j *job) closeRoots() {
	for _, r := range j.roots {
		if err := r.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
			j.Log.Warn("cannot close a root", "error", err)
		}
	}
}
