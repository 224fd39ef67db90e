package watch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	fanMask = unix.FAN_CREATE | unix.FAN_DELETE | unix.FAN_MODIFY | unix.FAN_CLOSE_WRITE | unix.FAN_ATTRIB |
		unix.FAN_MOVED_FROM | unix.FAN_MOVED_TO | unix.FAN_ONDIR
	// fanMoves are the events after which directories may have other paths.
	fanMoves = unix.FAN_MOVED_FROM | unix.FAN_MOVED_TO | unix.FAN_DELETE
	// maxKnown bounds the directories whose path is remembered.
	maxKnown = 4096
)

// view is a directory through which handles of its file system can be opened.
type view struct {
	root  string // the root that needs it
	path  string
	fsid  [8]byte
	mount int
}

// fan watches whole file systems through fanotify.
type fan struct {
	fd    int
	buf   []byte
	views []view
	known map[fanHandle][]string // paths of directories

	passed int // over: directories outside of the roots
}

func openFan() (*fan, error) {
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_NOTIF|unix.FAN_REPORT_DFID_NAME|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK,
		unix.O_RDONLY|unix.O_LARGEFILE|unix.O_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot use fanotify: %w", err)
	}
	return &fan{fd: fd, buf: make([]byte, 64<<10), known: make(map[fanHandle][]string)}, nil
}

func (f *fan) close() { _ = unix.Close(f.fd) }

// add watches the file systems of a root and of what is mounted below it.
func (f *fan) add(root, path string, mounts []string) error {
	f.remove(root)
	for _, p := range append([]string{path}, mounts...) {
		v, err := f.mark(p)
		if err != nil {
			f.remove(root)
			return fmt.Errorf("cannot watch the file system of %q: %w", p, err)
		}
		v.root = root
		f.views = append(f.views, v)
	}
	f.forget()
	return nil
}

// remove forgets a root. Its file system stays marked, as others may need it;
// events that belong to no root are passed over.
func (f *fan) remove(root string) {
	var rest []view
	for _, v := range f.views {
		if v.root != root {
			rest = append(rest, v)
		}
	}
	f.views = rest
	f.forget()
}

// mark watches the file system of a directory, if its handles can be opened.
func (f *fan) mark(path string) (view, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return view{}, err
	}
	defer func() { _ = unix.Close(fd) }()
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return view{}, err
	}
	handle, mount, err := unix.NameToHandleAt(fd, "", unix.AT_EMPTY_PATH)
	if err != nil {
		return view{}, err
	}
	again, err := unix.OpenByHandleAt(fd, handle, unix.O_PATH|unix.O_CLOEXEC)
	if err != nil {
		return view{}, err
	}
	_ = unix.Close(again)
	if err := unix.FanotifyMark(f.fd, unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM, fanMask, fd, ""); err != nil {
		return view{}, err
	}
	v := view{path: path, mount: mount}
	binary.NativeEndian.PutUint32(v.fsid[:], uint32(fs.Fsid.Val[0]))
	binary.NativeEndian.PutUint32(v.fsid[4:], uint32(fs.Fsid.Val[1]))
	return v, nil
}

// fanPath is where something happened.
type fanPath struct {
	path  string
	moved bool // something came or went there
}

// read returns where something happened, without waiting. lost tells that events
// are missing.
func (f *fan) read() (happened []fanPath, lost bool, err error) {
	events, err := drain(f.fd, f.buf, parseFanotify)
	elsewhere := make(map[fanHandle]bool)
	for _, e := range events {
		if e.mask&unix.FAN_Q_OVERFLOW != 0 {
			lost = true
			continue
		}
		moved := e.mask&fanMoves != 0
		if moved && e.mask&unix.FAN_ONDIR != 0 {
			clear(f.known)
		}
		dirs, err := f.resolve(e.dir)
		lost = lost || err != nil
		if err == nil && f.outside(e.dir, dirs) {
			elsewhere[e.dir] = true
			continue
		}
		if e.mask&unix.FAN_MOVED_TO != 0 && e.mask&unix.FAN_ONDIR != 0 {
			f.forget() // it may bring along directories that were passed over
			clear(elsewhere)
		}
		for _, dir := range dirs {
			happened = append(happened, fanPath{filepath.Join(dir, e.name), moved})
		}
	}
	if lost || err != nil { // what came along with what is not known of may have been passed over
		f.forget()
		clear(elsewhere)
	}
	f.passOver(elsewhere)
	return happened, lost, err
}

// resolve tells the paths of a directory, one for each mount that leads to it.
// A directory that has gone has none: its own directory tells of that.
func (f *fan) resolve(h fanHandle) ([]string, error) {
	if paths, ok := f.known[h]; ok {
		return paths, nil
	}
	var paths []string
	tried := make(map[int]bool)
	for _, v := range f.views {
		if v.fsid != h.fsid || tried[v.mount] {
			continue
		}
		tried[v.mount] = true
		p, err := v.resolve(h)
		if err != nil {
			return nil, err
		}
		if p != "" {
			paths = append(paths, p)
		}
	}
	if len(f.known) >= maxKnown {
		clear(f.known)
	}
	f.known[h] = paths
	return paths, nil
}

// open opens a handle through the view; it returns -1 if there is no way to it.
func (v view) open(h fanHandle) (int, error) {
	mount, err := unix.Open(v.path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM) {
		return -1, err
	}
	if err != nil {
		return -1, nil // the anchor tells what became of the root
	}
	defer func() { _ = unix.Close(mount) }()
	fd, err := unix.OpenByHandleAt(mount, unix.NewFileHandle(h.kind, []byte(h.handle)), unix.O_PATH|unix.O_CLOEXEC)
	if errors.Is(err, unix.ESTALE) || errors.Is(err, unix.ENOENT) {
		return -1, nil
	}
	if err != nil {
		return -1, err
	}
	return fd, nil
}

// resolve opens a handle through the view and returns its path, "" if it has
// none there.
func (v view) resolve(h fanHandle) (string, error) {
	fd, err := v.open(h)
	if err != nil || fd < 0 {
		return "", err
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Nlink == 0 {
		return "", err
	}
	p, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil || !filepath.IsAbs(p) {
		return "", nil // too long for any item, or beyond what the mount shows
	}
	return p, nil
}
