package scan_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// ownMounts runs the test once more, where it may mount and nobody else sees it: in a
// mount namespace, and in a user namespace for whoever is not root. It returns true there.
func ownMounts(t *testing.T) bool {
	t.Helper()
	const mark = "REPROVISION_TEST_OWN_MOUNTS"
	if os.Getenv(mark) == t.Name() {
		must(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mark+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Skipf("no namespace of its own: %v", err)
	}
	if t.Log(string(out)); err != nil {
		t.Fatal(err)
	}
	return false
}

func bind(t *testing.T, from, to string) {
	t.Helper()
	must(t, os.MkdirAll(from, 0o700))
	must(t, os.MkdirAll(to, 0o700))
	must(t, unix.Mount(from, to, "", unix.MS_BIND, ""))
	t.Cleanup(func() { _ = unix.Unmount(to, unix.MNT_DETACH) })
}

func mountNew(t *testing.T, at string) {
	t.Helper()
	must(t, os.MkdirAll(at, 0o700))
	must(t, unix.Mount("none", at, "tmpfs", 0, ""))
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
}

// overlay mounts one that has its parts on a file system of their own; it tells whether
// the kernel lets it.
func overlay(t *testing.T, parts, at string) bool {
	t.Helper()
	mountNew(t, parts)
	for _, d := range []string{"lower", "upper", "work"} {
		must(t, os.MkdirAll(filepath.Join(parts, d), 0o700))
	}
	must(t, os.MkdirAll(at, 0o700))
	err := unix.Mount("none", at, "overlay", 0, "lowerdir="+parts+"/lower,upperdir="+parts+"/upper,workdir="+parts+"/work")
	if err != nil {
		t.Logf("no overlay: %v", err)
		return false
	}
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	return true
}

// TestMountOfRoot: a root lies where its file system is mounted. What shows a directory at
// its own place, as the sandbox of a service does, is no file system of its own, be the
// root there or not.
func TestMountOfRoot(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	dir := t.TempDir()
	p := func(parts ...string) string { return filepath.Join(append([]string{dir}, parts...)...) }
	own := mountOf(t, dir)
	mountNew(t, p("disk"))
	bind(t, p("disk", "home"), p("disk", "home"))
	bind(t, p("etc"), p("etc"))
	bind(t, p("etc", "keys"), p("etc", "keys"))
	bind(t, p("etc", "twice"), p("etc", "twice"))
	bind(t, p("etc", "twice"), p("etc", "twice"))
	bind(t, p("elsewhere"), p("bound"))
	bind(t, p("bound", "in"), p("bound", "in"))
	mountNew(t, p("etc", "disk"))
	wants := map[string]string{
		p("plain"): own, p("etc"): own, p("etc", "keys"): own, p("etc", "keys", "deep"): own, p("etc", "twice"): own,
		p("disk"): p("disk"), p("disk", "home"): p("disk"), p("disk", "other"): p("disk"),
		p("bound"): p("bound"), p("bound", "in"): p("bound"), p("etc", "disk"): p("etc", "disk"),
	}
	if overlay(t, p("parts"), p("over")) {
		bind(t, p("over", "etc"), p("over", "etc"))
		wants[p("over")], wants[p("over", "etc")] = p("over"), p("over")
	}
	for path, want := range wants {
		if got := mountOf(t, path); got != want { // also of what is not there
			t.Errorf("%s would lie on %s, want %s", path, got, want)
		}
		must(t, os.MkdirAll(path, 0o700))
		if got := mountOf(t, path); got != want {
			t.Errorf("%s lies on %s, want %s", path, got, want)
		}
		if scan.NotMounted(want, path) {
			t.Errorf("%s does not lie on %s any more", path, want)
		}
	}
}

func mountOf(t *testing.T, path string) string {
	t.Helper()
	state, known := mustScan(t, scannerAt(t, path, later), scan.Cache{}, scan.Options{}).Root("keys")
	if !known || state.Mount == "" {
		t.Fatalf("%s: %+v", path, state)
	}
	return state.Mount
}

// TestMountsInsideRoot: the same within a root, whichever way it is looked at.
func TestMountsInsideRoot(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	s, dir := newScanner(t, later)
	bind(t, filepath.Join(dir, "bound"), filepath.Join(dir, "bound"))
	bind(t, filepath.Join(dir, "bound", "in"), filepath.Join(dir, "bound", "in"))
	bind(t, filepath.Join(dir, "plain"), filepath.Join(dir, "other"))
	mountNew(t, filepath.Join(dir, "bound", "disk"))
	write(t, "x", dir, "bound", "in", "f")
	want := []userdata.Name{"keys/bound/disk", "keys/other"}
	res := mustScan(t, s, scan.Cache{}, scan.Options{})
	for what, got := range map[string]scan.Result{"scan": res, "refresh": refresh(t, s, res, "keys/bound/in/f", "keys/other/g", "keys/bound/disk/h")} {
		slices.Sort(got.Mounts)
		if got := slices.Compact(got.Mounts); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
}
