package scan

import (
	"errors"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/mountinfo"
)

// NotMounted tells whether a path does not lie any more on the file system that was
// mounted at a mount point, "" for not known, because that is not mounted there.
func NotMounted(was, path string) bool { return bare(was, mountPoint(path)) }

// NotMounted tells the same of a root, as the scan found it.
func (r RootState) NotMounted(was string) bool { return bare(was, r.Mount) }

// Ground tells on what a path lies, or would lie if it were there: where that file system
// is mounted, "" for not known, and its st_dev, 0 for not known.
func Ground(path string) (mount string, dev uint64) {
	var st unix.Stat_t
	if err := unix.Lstat(existing(path), &st); err != nil {
		return mountPoint(path), 0
	}
	return mountPoint(path), uint64(st.Dev)
}

// bare tells whether what lies on one mount point now, and on another before, lies in the
// directory that the other hid.
func bare(was, is string) bool {
	return was != "" && is != "" && is != was && (is == "/" || strings.HasPrefix(was, is+"/"))
}

// mountPoint is the path at which the file system is mounted that a path lies on,
// or would lie on if it were there; "" when nobody can tell.
func mountPoint(path string) string {
	at, err := statMount(unix.AT_FDCWD, existing(path))
	if err != nil {
		return ""
	}
	return at.point()
}

// point is where the file system is mounted, whatever other mounts show it again at a
// place of its own; "" when nobody can tell.
func (s seenMount) point() string {
	top, err := statMount(unix.AT_FDCWD, "/")
	if err == nil && top.id == s.id {
		return "/"
	}
	table, err := mountinfo.Read()
	if err != nil {
		return ""
	}
	m, _ := table.Brings(s.id)
	return m.Point
}

// existing is the path, or the longest part of it that exists, without symlinks.
func existing(path string) string {
	for {
		real, err := filepath.EvalSymlinks(path)
		if err == nil {
			return real
		}
		if path == "/" || path == "." {
			return "/"
		}
		path = filepath.Dir(path)
	}
}

// meet takes note of the file system that an st_dev is of, when it is met for the first
// time: of an open directory, or with a base of what lies in it. The st_dev of a
// directory is not enough, for a file may be mounted over another.
func (w *walk) meet(dirfd int, base string, dev uint64) {
	if _, met := w.res.FSTypes[dev]; met {
		return
	}
	fd := dirfd
	if base != "" {
		var err error
		if fd, err = retryOpen(dirfd, base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC); err != nil {
			return
		}
		defer func() { _ = unix.Close(fd) }()
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err == nil {
		w.res.FSTypes[dev] = int64(fs.Type)
	}
}

// mountedIn tells whether something is mounted at the directory that is not to be seen
// there anyway. Its device alone does not say: a subvolume of btrfs has one of its own,
// and what is mounted may be of the same.
func (d dir) mountedIn(parent dir) bool {
	s, err := statMount(d.fd, "")
	if err != nil {
		return d.dev != parent.dev
	}
	if !s.root {
		return false
	}
	in, err := statMount(parent.fd, "")
	if err != nil {
		return true
	}
	table, err := mountinfo.Read()
	if err != nil {
		return true
	}
	m, known := table.Brings(s.id)
	below, _ := table.Brings(in.id)
	return !known || m.ID != below.ID
}

// seenMount is a mount that a directory lies on.
type seenMount struct {
	id   int
	root bool // the directory is what it shows at its mount point
}

var errNoStatx = errors.New("the kernel does not tell mount points")

// statMount asks on which mount a path lies, or an open directory if that is "". It sets
// off no automount.
func statMount(dirfd int, path string) (seenMount, error) {
	flags := unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT | unix.AT_STATX_DONT_SYNC
	if path == "" {
		flags = unix.AT_EMPTY_PATH | unix.AT_STATX_DONT_SYNC
	}
	var st unix.Statx_t
	if err := unix.Statx(dirfd, path, flags, unix.STATX_MNT_ID, &st); err != nil {
		return seenMount{}, err
	}
	if st.Mask&unix.STATX_MNT_ID == 0 || st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return seenMount{}, errNoStatx
	}
	return seenMount{id: int(st.Mnt_id), root: st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0}, nil
}
