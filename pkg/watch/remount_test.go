package watch_test

import (
	"os"
	"path"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/watch"
)

// TestRemount: what lies on a file system that is mounted read-only is not restored, so
// there is a hint when it becomes writable, be it that of the root, or one inside it; by
// either backend.
func TestRemount(t *testing.T) {
	for _, backend := range []watch.Backend{watch.Fanotify, watch.Inotify} {
		for _, inside := range []string{".", "sub/disk"} {
			for name, remount := range map[string]uintptr{"file system": 0, "mount": unix.MS_BIND} {
				t.Run(string(backend)+" "+inside+" "+name, func(t *testing.T) { testRemount(t, backend, inside, remount) })
			}
		}
	}
}

func testRemount(t *testing.T, backend watch.Backend, inside string, flags uintptr) {
	dir := t.TempDir()
	if backend == watch.Fanotify && watch.ProbeFanotify(dir) != nil {
		t.Skip("fanotify is not permitted")
	}
	at := filepath.Join(dir, inside)
	must(t, os.MkdirAll(at, 0o700))
	if err := unix.Mount("none", at, "tmpfs", 0, ""); err != nil {
		t.Skipf("cannot mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	remount := func(also uintptr) {
		t.Helper()
		must(t, unix.Mount("none", at, "tmpfs", unix.MS_REMOUNT|flags|also, ""))
	}
	remount(unix.MS_RDONLY)
	s := start(t, backend, map[string]string{"keys": dir})
	s.settle()
	told := func(h watch.Hint) bool { return h.Root == "keys" && h.Rescan && h.Remounted && !h.Blind }
	remount(0)
	s.want("a remount", told)
	s.wantWatched(filepath.Join(at, "f"), userdata.Name(path.Join("keys", inside, "f")))
	s.seen = nil
	remount(unix.MS_RDONLY)
	s.want("a remount", told)
}
