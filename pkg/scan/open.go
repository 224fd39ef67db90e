package scan

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/reprovision/reprovision/pkg/userdata"
	"golang.org/x/sys/unix"
)

// ErrSymlinkInWay is wrapped when a name leads through a symlink: such a path
// may lie anywhere, so nothing is read there.
var ErrSymlinkInWay = errors.New("a symlink is in the way")

// ErrNotFile is wrapped by Open for an item that is no regular file.
var ErrNotFile = errors.New("not a regular file")

// dir is an open directory of the walk.
type dir struct {
	fd    int
	name  userdata.Name
	class userdata.Class
	dev   uint64
}

func (d dir) close() { _ = unix.Close(d.fd) }

func base(n userdata.Name) string { return path.Base(string(n)) }

// Open opens a file of the space for reading. It follows no symlink at or below
// the root and never waits for the other end of a pipe. Errors wrap
// ErrSymlinkInWay, ErrNotFile, ErrNoRoot, fs.ErrNotExist or fs.ErrPermission.
func (s *Scanner) Open(n userdata.Name) (*os.File, error) {
	f, err := s.open(n)
	if err != nil {
		return nil, fmt.Errorf("cannot open %q: %w", userdata.Printable(string(n)), err)
	}
	return f, nil
}

func (s *Scanner) open(n userdata.Name) (*os.File, error) {
	if _, err := userdata.ParseName(string(n)); err != nil {
		return nil, err
	}
	r, ok := s.space.Root(n.Root())
	if !ok {
		return nil, ErrNoRoot
	}
	if n.IsRoot() {
		return nil, ErrNotFile
	}
	root, state := openRoot(r)
	if !state.Available() {
		return nil, state.Err
	}
	defer root.close()
	parent, err := openParent(root, n)
	if err != nil {
		return nil, err
	}
	defer parent.close()
	return openFile(parent, n)
}

func openFile(parent dir, n userdata.Name) (*os.File, error) {
	st, err := lstatAt(parent.fd, base(n))
	if err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return nil, ErrSymlinkInWay
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, ErrNotFile
	}
	fd, _, err := openRegular(parent.fd, base(n))
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), string(n)), nil
}

// openParent opens the directory that holds the item, one component after the
// other from the root on, so that no symlink is followed.
func openParent(root dir, n userdata.Name) (dir, error) {
	fd, err := unix.FcntlInt(uintptr(root.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return dir{}, fmt.Errorf("cannot duplicate the root: %w", err)
	}
	d := dir{fd: fd, name: root.name, class: root.class, dev: root.dev}
	rel := n.Parent().Rel()
	if rel == "." {
		return d, nil
	}
	for component := range strings.SplitSeq(rel, "/") {
		next, err := openSubdir(d, component)
		d.close()
		if err != nil {
			return dir{}, err
		}
		d = next
	}
	return d, nil
}

// openSubdir opens a directory of a directory, never through a symlink.
func openSubdir(parent dir, base string) (dir, error) {
	fd, err := openAt(parent.fd, base, unix.O_DIRECTORY)
	if err != nil {
		return dir{}, notThrough(parent.fd, base, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd)
		return dir{}, fmt.Errorf("cannot stat: %w", err)
	}
	return dir{fd: fd, name: parent.name + "/" + userdata.Name(base), class: parent.class, dev: uint64(st.Dev)}, nil
}

// notThrough tells the refusal of a symlink from other errors.
func notThrough(dirfd int, base string, err error) error {
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		st, lerr := lstatAt(dirfd, base)
		if lerr == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
			return ErrSymlinkInWay
		}
	}
	return err
}

// openRegular opens a regular file and says how it was found. Anything else that
// took the file's place since it was listed is errChanged.
func openRegular(dirfd int, base string) (int, unix.Stat_t, error) {
	var st unix.Stat_t
	fd, err := openAt(dirfd, base, 0)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO) {
		return -1, st, errChanged
	}
	if err != nil {
		return -1, st, err
	}
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = errChanged
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, st, err
	}
	return fd, st, nil
}

// openAt opens for reading without following a symlink, without waiting for the
// other end of a pipe, and without moving the atime where the system lets us.
func openAt(dirfd int, base string, flags int) (int, error) {
	flags |= unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := retryOpen(dirfd, base, flags|unix.O_NOATIME)
	if errors.Is(err, unix.EPERM) { // O_NOATIME is for the owner and root
		fd, err = retryOpen(dirfd, base, flags)
	}
	if err != nil {
		return -1, fmt.Errorf("cannot open: %w", err)
	}
	return fd, nil
}

func retryOpen(dirfd int, base string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dirfd, base, flags, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

func lstatAt(dirfd int, base string) (unix.Stat_t, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(dirfd, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return st, fmt.Errorf("cannot stat: %w", err)
	}
	return st, nil
}
