package scan_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// ramfs is a file system that no temporary directory lies on.
const ramfs = 0x858458F6

// TestTypeOfEachFileSystem: a file has the type of the file system that is mounted
// where it lies, be it at a directory inside the root or at the file itself; whether
// it is read, known from the cache, or looked at with a part only.
func TestTypeOfEachFileSystem(t *testing.T) {
	s, dir := newScanner(t, later)
	sub := filepath.Join(dir, "d", "mounted")
	must(t, os.MkdirAll(sub, 0o700))
	over := write(t, "x", dir, "over")
	write(t, "x", dir, "f")
	if err := unix.Mount("none", sub, "ramfs", 0, ""); err != nil {
		t.Skipf("cannot mount: %v", err)
	}
	defer unix.Unmount(sub, 0)
	inside := write(t, "y", sub, "deep", "f")
	must(t, unix.Mount(inside, over, "", unix.MS_BIND, ""))
	defer unix.Unmount(over, unix.MNT_DETACH)

	res := mustScan(t, s, scan.Cache{}, scan.Options{})
	deep := mustScan(t, s, res.Cache, scan.Options{Deep: true, Hands: 4})
	quick := mustScan(t, s, res.Cache, scan.Options{})
	if quick.FilesRead != 0 {
		t.Errorf("the quick scan has read %d files", quick.FilesRead)
	}
	for what, res := range map[string]scan.Result{
		"first": res, "deep": deep, "quick": quick, "part": mustScanNames(t, s, res.Cache, "keys/d/mounted/deep/f", "keys/f", "keys/over"),
		"refreshed": refresh(t, s, quick, "keys/d/mounted/deep/f"),
	} {
		for n, mounted := range map[userdata.Name]bool{"keys/f": false, "keys/over": true, "keys/d/mounted/deep/f": true} {
			if fs := res.FSType(n); fs == 0 || (fs == ramfs) != mounted {
				t.Errorf("%s: %s lies on a file system of the type %#x", what, n, fs)
			}
		}
		if fs := res.FSType("keys/none"); fs == 0 || fs == ramfs {
			t.Errorf("%s: what is not there would lie on %#x", what, fs)
		}
	}
}
