package scan_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
	"golang.org/x/sys/unix"
)

func TestAllKinds(t *testing.T) {
	s, dir := newScanner(t, later)
	write(t, "private", dir, "ssh", "id_ed25519")
	must(t, os.Chmod(filepath.Join(dir, "ssh", "id_ed25519"), 0o4600))
	must(t, os.Chmod(filepath.Join(dir, "ssh"), 0o700|os.ModeSticky))
	must(t, os.Symlink("../nowhere", filepath.Join(dir, "link")))
	must(t, os.Mkdir(filepath.Join(dir, "empty dir"), 0o711))
	write(t, "", dir, "empty")
	write(t, "x", dir, "no\xffutf8\n")
	mtime := time.Unix(1234567890, 987654321)
	must(t, os.Chtimes(filepath.Join(dir, "empty"), mtime, mtime))

	res := mustScan(t, s, scan.Cache{}, scan.Options{})
	noProblems(t, res)
	if res.Manifest.Len() != 7 {
		t.Errorf("%d items: %+v", res.Manifest.Len(), res.Manifest.Items())
	}
	wantContents(t, res, "keys/ssh/id_ed25519", "private")
	wantContents(t, res, "keys/empty", "")
	wantContents(t, res, "keys/no\xffutf8\n", "x")
	if it := find(t, res, "keys/ssh/id_ed25519"); it.Class != userdata.Keys ||
		it.UID != uint32(os.Getuid()) || it.GID != uint32(os.Getgid()) {
		t.Errorf("%+v", it)
	}
	if it := find(t, res, "keys/ssh"); it.Type != manifest.Dir || it.Mode != 0o1700 || it.Size != 0 {
		t.Errorf("%+v", it)
	}
	if it := find(t, res, "keys/link"); it.Type != manifest.Symlink || it.Target != "../nowhere" || it.Size != 0 {
		t.Errorf("%+v", it)
	}
	if it := find(t, res, "keys/empty"); it.MTime != mtime.UnixNano() {
		t.Errorf("%+v", it)
	}
	if it := find(t, res, "keys"); it.Type != manifest.Dir {
		t.Errorf("%+v", it)
	}
	if res.FilesRead != 3 || res.BytesRead != 8 {
		t.Errorf("read %d files, %d bytes", res.FilesRead, res.BytesRead)
	}
}

func TestObservedIsWhatLstatSaid(t *testing.T) {
	s, dir := newScanner(t, later)
	p := write(t, "data", dir, "f")
	res := mustScan(t, s, scan.Cache{}, scan.Options{})
	var st unix.Stat_t
	must(t, unix.Lstat(p, &st))
	want := scan.Observation{Dev: uint64(st.Dev), Ino: st.Ino, Size: 4, MTime: st.Mtim.Nano(), CTime: st.Ctim.Nano(), Mode: st.Mode}
	if got, ok := res.Observed("keys/f"); !ok || got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if _, ok := res.Observed("keys/g"); ok {
		t.Error("observed what is not there")
	}
}

func TestSpecialFilesAreProblems(t *testing.T) {
	s, dir := newScanner(t, later)
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "sock")})
	must(t, err)
	defer l.Close()
	res := mustScan(t, s, scan.Cache{}, scan.Options{})
	for _, n := range []userdata.Name{"keys/fifo", "keys/sock"} {
		wantProblem(t, res, n, scan.Special)
		wantAbsent(t, res, n)
	}
}

func TestOnlyARestoresOwnNamesAreNoItems(t *testing.T) {
	s, dir := newScanner(t, later)
	write(t, "half", dir, userdata.TempPrefix+"0123456789abcdef")
	write(t, "mine", dir, userdata.TempPrefix+"notes")
	write(t, "mine", dir, userdata.TempPrefix+"stuff", "x")
	m := mustScan(t, s, scan.Cache{}, scan.Options{}).Manifest
	for name, want := range map[string]bool{"0123456789abcdef": false, "notes": true, "stuff": true, "stuff/x": true} {
		n := userdata.Name("keys/" + userdata.TempPrefix + name)
		if _, found := m.Find(n); found != want {
			t.Errorf("%s: found %v", n, found)
		}
	}
}

func TestNulFiles(t *testing.T) {
	s, dir := newScanner(t, later)
	write(t, strings.Repeat("\x00", 300_000), dir, "wiped")
	write(t, "\x00", dir, "one")
	write(t, "", dir, "empty")
	write(t, strings.Repeat("\x00", 299_999)+"x", dir, "late")
	write(t, "x"+strings.Repeat("\x00", 10), dir, "early")
	must(t, os.Truncate(write(t, "", dir, "sparse"), 1<<20))
	first := mustScan(t, s, scan.Cache{}, scan.Options{})
	second := mustScan(t, s, first.Cache, scan.Options{})
	if second.FilesRead != 0 {
		t.Errorf("the second scan read %d files", second.FilesRead)
	}
	for i, res := range []scan.Result{first, second} {
		for _, it := range res.Manifest.Items() {
			want := it.Name == "keys/wiped" || it.Name == "keys/one" || it.Name == "keys/sparse"
			if got := res.Nature(it.Name); got.Nul != want {
				t.Errorf("scan %d: %s: %+v", i, it.Name, got)
			}
		}
	}
}

func TestHardLinksAreItemsOfTheirOwn(t *testing.T) {
	s, dir := newScanner(t, later)
	must(t, os.Link(write(t, "shared", dir, "a"), filepath.Join(dir, "b")))
	res := mustScan(t, s, scan.Cache{}, scan.Options{})
	wantContents(t, res, "keys/a", "shared")
	wantContents(t, res, "keys/b", "shared")
}

func TestSymlinksAreNotFollowed(t *testing.T) {
	s, dir := newScanner(t, later)
	outside := t.TempDir()
	write(t, "secret", outside, "f")
	must(t, os.Symlink(outside, filepath.Join(dir, "d")))
	must(t, os.Symlink(dir, filepath.Join(dir, "loop")))
	res := mustScan(t, s, scan.Cache{}, scan.Options{})
	noProblems(t, res)
	if res.Manifest.Len() != 3 || res.FilesRead != 0 {
		t.Errorf("%+v", res.Manifest.Items())
	}
	res = mustScanNames(t, s, scan.Cache{}, "keys/d/f")
	if len(res.Absent) != 1 || res.Absent[0] != "keys/d/f" || res.Manifest.Len() != 0 {
		t.Errorf("%+v", res)
	}
}

func TestRootThatIsASymlink(t *testing.T) {
	dir := t.TempDir()
	write(t, "x", dir, "real", "f")
	must(t, os.Symlink("real", filepath.Join(dir, "root")))
	res := mustScan(t, scannerAt(t, filepath.Join(dir, "root"), later), scan.Cache{}, scan.Options{})
	wantContents(t, res, "keys/f", "x")
}

func TestRootStates(t *testing.T) {
	dir := t.TempDir()
	write(t, "x", dir, "file")
	must(t, os.Symlink("nowhere", filepath.Join(dir, "dangling")))
	must(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	must(t, os.Mkdir(filepath.Join(dir, "there"), 0o700))
	for name, ok := range map[string]func(scan.RootState) bool{
		"gone":     func(r scan.RootState) bool { return r.Missing && errors.Is(r.Err, unix.ENOENT) },
		"file/sub": func(r scan.RootState) bool { return r.Missing },
		"dangling": func(r scan.RootState) bool { return r.Missing },
		"file":     func(r scan.RootState) bool { return r.NotDirectory },
		"loop":     func(r scan.RootState) bool { return r.Unreadable && errors.Is(r.Err, unix.ELOOP) },
		"there": func(r scan.RootState) bool {
			return r.Available() && !r.ReadOnly && r.Device != 0 && r.Inode != 0 && r.Err == nil
		},
	} {
		res := mustScan(t, scannerAt(t, filepath.Join(dir, name), later), scan.Cache{}, scan.Options{})
		if state, found := res.Root("keys"); !found || !ok(state) {
			t.Errorf("%s: %+v", name, state)
		}
		if state, _ := res.Root("keys"); state.Available() != (res.Manifest.Len() == 1) {
			t.Errorf("%s: %d items", name, res.Manifest.Len())
		}
	}
}

func TestReadOnlyMount(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", unix.MS_RDONLY, ""); err != nil {
		t.Skipf("cannot mount: %v", err)
	}
	defer unix.Unmount(dir, 0)
	res := mustScan(t, scannerAt(t, dir, later), scan.Cache{}, scan.Options{})
	if state, _ := res.Root("keys"); !state.ReadOnly || res.FSTypes[state.Device] != unix.TMPFS_MAGIC {
		t.Errorf("%+v of the types %v", state, res.FSTypes)
	}
}

func TestMountBelowARootIsRecordedAndScanned(t *testing.T) {
	s, dir := newScanner(t, later)
	sub := filepath.Join(dir, "sub")
	must(t, os.Mkdir(sub, 0o700))
	if err := unix.Mount("none", sub, "tmpfs", 0, ""); err != nil {
		t.Skipf("cannot mount: %v", err)
	}
	defer unix.Unmount(sub, 0)
	write(t, "x", sub, "f")
	for _, res := range []scan.Result{
		mustScan(t, s, scan.Cache{}, scan.Options{}), mustScanNames(t, s, scan.Cache{}, "keys/sub"),
	} {
		wantContents(t, res, "keys/sub/f", "x")
		if len(res.Mounts) != 1 || res.Mounts[0] != "keys/sub" {
			t.Errorf("%v", res.Mounts)
		}
	}
}

// A directory of the same file system may be mounted, too.
func TestBindMountBelowARootIsRecorded(t *testing.T) {
	s, dir := newScanner(t, later)
	sub, from := filepath.Join(dir, "sub"), t.TempDir()
	must(t, os.Mkdir(sub, 0o700))
	if err := unix.Mount(from, sub, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("cannot mount: %v", err)
	}
	defer unix.Unmount(sub, 0)
	if res := mustScan(t, s, scan.Cache{}, scan.Options{}); len(res.Mounts) != 1 || res.Mounts[0] != "keys/sub" {
		t.Errorf("%v", res.Mounts)
	}
}

// TestDeepTree goes as deep as a name can reach, and one level further.
func TestDeepTree(t *testing.T) {
	s, dir := newScanner(t, later)
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	name := userdata.Name("keys")
	for len(name)+2 <= userdata.MaxName+2 {
		must(t, unix.Mkdirat(fd, "d", 0o700))
		next, err := unix.Openat(fd, "d", unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		must(t, err)
		must(t, unix.Close(fd))
		fd, name = next, name+"/d"
	}
	must(t, unix.Close(fd))
	res := mustScan(t, s, scan.Cache{}, scan.Options{})
	if want := 1 + (userdata.MaxName-len("keys"))/2; res.Manifest.Len() != want {
		t.Errorf("%d items, want %d", res.Manifest.Len(), want)
	}
	if len(res.Problems) != 1 || res.Problems[0].Name != name || res.Problems[0].Reason != scan.BadName {
		t.Errorf("%d problems", len(res.Problems))
	}
	near := name.Parent().Parent().Parent()
	if res := mustScanNames(t, s, scan.Cache{}, near+"/no", near); len(res.Absent) != 1 || res.Manifest.Len() != 3 {
		t.Errorf("%d absent, %d items", len(res.Absent), res.Manifest.Len())
	}
}

func TestUnreadableContents(t *testing.T) {
	s := scannerAt(t, "/proc/self", later) // whose file mem gives EIO at its start
	res := mustScanNames(t, s, scan.Cache{}, "keys/mem")
	p := wantProblem(t, res, "keys/mem", scan.Unreadable)
	if !errors.Is(p, unix.EIO) {
		t.Errorf("%v", p.Err)
	}
	if len(res.Absent) != 0 {
		t.Errorf("an unreadable item counts as absent: %v", res.Absent)
	}
}

func TestScanNames(t *testing.T) {
	s, dir := newScanner(t, later)
	write(t, "1", dir, "a", "b", "one")
	write(t, "2", dir, "a", "two")
	write(t, "3", dir, "a-b")
	write(t, "4", dir, "other")
	res := mustScanNames(t, s, scan.Cache{}, "keys/a", "keys/a/b/one", "keys/a-b", "keys/gone", "keys/a/gone",
		"keys/a-b/below", "nosuch/x", "keys/../x", "keys/a")
	if res.Manifest.Len() != 5 || res.FilesRead != 3 {
		t.Errorf("%d files read, items %+v", res.FilesRead, res.Manifest.Items())
	}
	wantContents(t, res, "keys/a/b/one", "1")
	wantContents(t, res, "keys/a-b", "3")
	if got := fmt.Sprint(res.Absent); got != "[keys/a-b/below keys/a/gone keys/gone]" {
		t.Errorf("absent: %v", got)
	}
	wantProblem(t, res, "keys/../x", scan.BadName)
	if p := wantProblem(t, res, "nosuch/x", scan.BadName); !errors.Is(p, scan.ErrNoRoot) {
		t.Errorf("%v", p)
	}
	if res := mustScanNames(t, s, scan.Cache{}, "keys"); res.Manifest.Len() != 7 {
		t.Errorf("the whole root has %d items", res.Manifest.Len())
	}
}

func TestScanNamesOfAMissingRoot(t *testing.T) {
	s := scannerAt(t, filepath.Join(t.TempDir(), "gone"), later)
	res := mustScanNames(t, s, scan.Cache{}, "keys/f")
	if state, ok := res.Root("keys"); !ok || !state.Missing || len(res.Absent) != 0 {
		t.Errorf("%+v, absent %v", state, res.Absent)
	}
}

func TestContextEnds(t *testing.T) {
	s, dir := newScanner(t, later)
	write(t, "x", dir, "f")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Scan(ctx, scan.Cache{}, scan.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Scan: %v", err)
	}
	if _, err := s.ScanNames(ctx, []userdata.Name{"keys/f"}, scan.Cache{}, scan.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("ScanNames: %v", err)
	}
}

func TestContextEndsWithinALargeFile(t *testing.T) {
	s, dir := newScanner(t, later)
	must(t, os.Truncate(write(t, "", dir, "large"), 1<<40)) // would take minutes
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Scan(ctx, scan.Cache{}, scan.Options{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestTenThousandFiles(t *testing.T) {
	s, dir := newScanner(t, later)
	for i := range 10_000 {
		if i%100 == 0 {
			must(t, os.Mkdir(filepath.Join(dir, fmt.Sprint(i/100)), 0o700))
		}
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i/100), fmt.Sprint(i)), fmt.Append(nil, i), 0o600))
	}
	unix.Sync() // at once is faster than file by file
	res := mustScan(t, s, scan.Cache{}, scan.Options{})
	noProblems(t, res)
	if res.Manifest.Len() != 10_101 || res.FilesRead != 10_000 || res.Cache.Len() != 10_000 {
		t.Errorf("%d items, %d read", res.Manifest.Len(), res.FilesRead)
	}
	wantContents(t, res, "keys/99/9999", "9999")
	again := mustScan(t, s, res.Cache, scan.Options{})
	if d := manifest.Diff(res.Manifest, again.Manifest); !d.Empty() || again.FilesRead != 0 {
		t.Errorf("the quick scan read %d files and saw %+v", again.FilesRead, d)
	}
}

// TestProgressCountsEachByteOnce, whether it is read or the cache vouches for it, and
// whoever reads it.
func TestProgressCountsEachByteOnce(t *testing.T) {
	s, dir := newScanner(t, later)
	var want int64
	for i := range 40 {
		b := make([]byte, i*9_000)
		want += int64(len(b))
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var cache scan.Cache
	for _, opts := range []scan.Options{{}, {Hands: 4}, {Deep: true, Hands: 4}} {
		var got atomic.Int64
		opts.Progress = func(bytes int64) {
			if bytes <= 0 {
				t.Errorf("%d bytes", bytes)
			}
			got.Add(bytes)
		}
		res := mustScan(t, s, cache, opts)
		if cache = res.Cache; got.Load() != want {
			t.Errorf("%d of %d bytes", got.Load(), want)
		}
	}
}
