package watch

import (
	"slices"

	"golang.org/x/sys/unix"
)

const (
	// fanIgnore marks a directory whose events, and its entries', the kernel is to keep
	// to itself. It may forget the mark with the directory (Linux 6.0).
	fanIgnore = unix.FAN_MARK_ADD | unix.FAN_MARK_IGNORE | unix.FAN_MARK_IGNORED_SURV_MODIFY |
		unix.FAN_MARK_EVICTABLE | unix.FAN_MARK_ONLYDIR
	// maxPassed bounds the directories that are passed over.
	maxPassed = 8192
)

// outside tells whether a directory is seen through all views of its file system, and
// through none of them lies on the way to a root or in it.
func (f *fan) outside(h fanHandle, paths []string) bool {
	mounts := make(map[int]bool)
	for _, v := range f.views {
		if v.fsid == h.fsid {
			mounts[v.mount] = true
		}
		if slices.ContainsFunc(paths, func(p string) bool { return within(p, v.path) || within(v.path, p) }) {
			return false
		}
	}
	return len(paths) > 0 && len(paths) == len(mounts)
}

// passOver has the kernel say no more of what other programs do in their directories:
// each would wake the daemon. A kernel that cannot goes on to tell.
func (f *fan) passOver(dirs map[fanHandle]bool) {
	for h := range dirs {
		i := slices.IndexFunc(f.views, func(v view) bool { return v.fsid == h.fsid })
		if i < 0 {
			continue
		}
		if f.passed >= maxPassed {
			f.forget()
		}
		f.passed++
		f.views[i].ignore(f.fd, h)
	}
}

// forget has the kernel tell of all directories again, and their paths looked up anew.
func (f *fan) forget() {
	clear(f.known)
	if f.passed > 0 {
		_ = unix.FanotifyMark(f.fd, unix.FAN_MARK_FLUSH, 0, unix.AT_FDCWD, ".") // the file systems' marks stay
	}
	f.passed = 0
}

func (v view) ignore(fan int, h fanHandle) {
	fd, err := v.open(h)
	if err != nil || fd < 0 {
		return
	}
	defer func() { _ = unix.Close(fd) }()
	_ = unix.FanotifyMark(fan, fanIgnore, fanMask|unix.FAN_EVENT_ON_CHILD, fd, ".")
}
