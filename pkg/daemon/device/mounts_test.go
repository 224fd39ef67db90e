package device

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// TestMountsNotedByAnEarlierVersion: it took what the sandbox mounts for a mount point. A
// root that was wiped before it is seen again is restored all the same, and one whose file
// system is not mounted stays unavailable.
func TestMountsNotedByAnEarlierVersion(t *testing.T) {
	for name, c := range map[string]struct {
		mounted bool // a file system of its own
		rmdir   bool
		want    detect.Verdict
	}{
		"self-bound, emptied":      {false, false, detect.Erased},
		"self-bound, removed":      {false, true, detect.Erased},
		"not mounted":              {true, false, detect.Unavailable},
		"not mounted, and no more": {true, true, detect.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.d.cfg.Detect.Settle.Duration = 0
			keys := r.d.cfg.Roots[0].Path
			if c.mounted {
				r.mount(keys)
			}
			r.mustNote(map[string]string{"keys": keys}, "keys/sub")
			if c.mounted {
				r.must(unix.Unmount(keys, unix.MNT_DETACH))
			} else {
				r.must(os.RemoveAll(keys))
				r.must(os.Mkdir(keys, 0o700))
			}
			if c.rmdir {
				r.must(os.Remove(keys))
			}
			r.must(r.d.openBook())
			seen := r.lookAround()
			for _, n := range []userdata.Name{"keys/a", "keys/sub/b"} {
				if f, _ := seen.report.Find(n); f.Verdict != c.want {
					t.Errorf("%s is %s (%s), want %s", n, f.Verdict, f.Reason, c.want)
				}
			}
			if locked := scan.NotMounted(r.d.book.reference().Mounts["keys"], keys); locked != (c.want == detect.Unavailable) {
				t.Errorf("the restore is refused: %v", locked)
			}
		})
	}
}

// TestMountsNotedThatAreStillThere: what is mounted stays known.
func TestMountsNotedThatAreStillThere(t *testing.T) {
	r := newRig(t)
	keys := r.d.cfg.Roots[0].Path
	r.mount(keys)
	r.mount(filepath.Join(keys, "disk"))
	r.mustNote(map[string]string{"keys": keys}, "keys/disk", "keys/sub")
	r.must(r.d.openBook())
	ref := r.d.book.reference()
	if ref.Mounts["keys"] != keys || !ref.Mounted["keys/disk"] || ref.Mounted["keys/sub"] {
		t.Errorf("roots %v, inside %v", ref.Mounts, ref.Mounted)
	}
}

func (r *rig) mount(at string) {
	r.Helper()
	r.must(os.MkdirAll(at, 0o700))
	if err := unix.Mount("none", at, "tmpfs", 0, ""); err != nil {
		r.Skipf("cannot mount: %v", err)
	}
	r.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
}

// mustNote saves some files, and mount points as an earlier version noted them.
func (r *rig) mustNote(roots map[string]string, inside ...userdata.Name) {
	r.Helper()
	r.must(os.MkdirAll(filepath.Join(r.d.cfg.Roots[0].Path, "sub"), 0o700))
	r.must(os.MkdirAll(filepath.Join(r.d.cfg.Roots[0].Path, "disk"), 0o700))
	for _, name := range []string{"a", "sub/b", "disk/c"} {
		r.write(name, "what is in "+name)
	}
	r.backUp()
	r.must(r.d.book.save())
	old := struct {
		Roots  map[string]string      `cbor:"1,keyasint"`
		Inside map[userdata.Name]bool `cbor:"2,keyasint"`
	}{roots, make(map[userdata.Name]bool)}
	for _, n := range inside {
		old.Inside[n] = true
	}
	r.must(r.d.state.store(keyMounts, old))
}
