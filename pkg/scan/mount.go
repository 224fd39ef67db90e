package scan

import (
	"errors"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// NotMounted tells whether a path does not lie any more on the file system that was
// mounted at a mount point, "" for not known, because that is not mounted there.
func NotMounted(was, path string) bool { return bare(was, mountPoint(path)) }

// NotMounted tells the same of a root, as the scan found it.
func (r RootState) NotMounted(was string) bool { return bare(was, r.Mount) }

// bare tells whether what lies on one mount point now, and on another before, lies in the
// directory that the other hid.
func bare(was, is string) bool {
	return was != "" && is != "" && is != was && (is == "/" || strings.HasPrefix(was, is+"/"))
}

// mountPoint is the path at which the file system is mounted that a path lies on,
// or would lie on if it were there; "" when nobody can tell.
func mountPoint(path string) string {
	path = existing(path)
	for {
		root, err := isMountRoot(path)
		if err != nil {
			return ""
		}
		if root || path == "/" {
			return path
		}
		path = filepath.Dir(path)
	}
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

// mountedIn tells whether something is mounted at the directory. Its device alone
// does not say: a subvolume of btrfs has one of its own, and what is mounted may be
// of the same.
func (d dir) mountedIn(parent dir) bool {
	var st unix.Statx_t
	err := unix.Statx(d.fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, 0, &st)
	if err != nil || st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return d.dev != parent.dev
	}
	return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

var errNoStatx = errors.New("the kernel does not tell mount points")

func isMountRoot(path string) (bool, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, 0, &st); err != nil {
		return false, err
	}
	if st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return false, errNoStatx
	}
	return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}
