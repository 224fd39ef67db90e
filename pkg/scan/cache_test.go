package scan_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
	"golang.org/x/sys/unix"
)

// TestWhatAQuickScanReads touches a file in one way or another and wants the
// quick scan to read it again, or not.
func TestWhatAQuickScanReads(t *testing.T) {
	for _, c := range []struct {
		name  string
		touch func(t *testing.T, p string)
		read  int64
	}{
		{"nothing", func(*testing.T, string) {}, 0},
		{"read by another", func(t *testing.T, p string) { _, err := os.ReadFile(p); must(t, err) }, 0},
		{"written with another size", func(t *testing.T, p string) { write(t, "longer", p) }, 1},
		{"written with its old mtime", func(t *testing.T, p string) {
			st, err := os.Stat(p)
			must(t, err)
			write(t, "atad", p)
			must(t, os.Chtimes(p, st.ModTime(), st.ModTime()))
		}, 1},
		{"replaced by a rename", func(t *testing.T, p string) {
			must(t, os.Rename(write(t, "data", p+".tmp"), p))
		}, 1},
		{"mode changed", func(t *testing.T, p string) { must(t, os.Chmod(p, 0o600)) }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, dir := newScanner(t, later)
			p := write(t, "data", dir, "f")
			first := mustScan(t, s, scan.Cache{}, scan.Options{})
			time.Sleep(20 * time.Millisecond) // file systems stamp in ticks of up to 10 ms
			c.touch(t, p)
			res := mustScan(t, s, first.Cache, scan.Options{})
			if res.FilesRead != c.read {
				t.Errorf("read %d files, want %d", res.FilesRead, c.read)
			}
			now, err := os.ReadFile(p)
			must(t, err)
			wantContents(t, res, "keys/f", string(now))
		})
	}
}

func TestDeepScanReadsEverything(t *testing.T) {
	s, dir := newScanner(t, later)
	write(t, "data", dir, "f")
	first := mustScan(t, s, scan.Cache{}, scan.Options{})
	if res := mustScan(t, s, first.Cache, scan.Options{Deep: true}); res.FilesRead != 1 || res.BytesRead != 4 {
		t.Errorf("read %d files, %d bytes", res.FilesRead, res.BytesRead)
	}
}

// TestDeepOfTheCriticalOnly reads the keys again, and nothing else.
func TestDeepOfTheCriticalOnly(t *testing.T) {
	s, dir := twoRoots(t)
	write(t, "data", dir, "keys", "f")
	write(t, "other data", dir, "user-data", "f")
	first := mustScan(t, s, scan.Cache{}, scan.Options{})
	res := mustScan(t, s, first.Cache, scan.Options{DeepCritical: true})
	if res.FilesRead != 1 || res.BytesRead != 4 || !reflect.DeepEqual(res.Cache, first.Cache) {
		t.Errorf("read %d files, %d bytes", res.FilesRead, res.BytesRead)
	}
}

// TestSilentChangeIsSeenDeepOnly has a file whose contents are not what the cache
// says though its metadata are.
func TestSilentChangeIsSeenDeepOnly(t *testing.T) {
	s, dir := newScanner(t, later)
	write(t, "good", dir, "f")
	first := mustScan(t, s, scan.Cache{}, scan.Options{})
	other, otherDir := newScanner(t, later)
	write(t, "evil", otherDir, "f")
	forged := forge(t, first.Cache, mustScan(t, other, scan.Cache{}, scan.Options{}))
	wantContents(t, mustScan(t, s, forged, scan.Options{}), "keys/f", "evil")
	deep := mustScan(t, s, forged, scan.Options{Deep: true})
	wantContents(t, deep, "keys/f", "good")
	before, _ := forged.Get("keys/f")
	after, _ := deep.Observed("keys/f")
	if before.Observation != after {
		t.Error("the observations differ, so this is no silent change")
	}
}

// forge gives the cache the digest that another scan found.
func forge(t *testing.T, cache scan.Cache, other scan.Result) scan.Cache {
	t.Helper()
	data, err := cache.Marshal()
	must(t, err)
	was, _ := cache.Get("keys/f")
	is, _ := other.Cache.Get("keys/f")
	data = bytes.Replace(data, was.Digest[:], is.Digest[:], 1)
	var forged scan.Cache
	must(t, forged.Unmarshal(data))
	return forged
}

func TestFreshFilesAreNotTrusted(t *testing.T) {
	s, dir := newScanner(t, time.Now)
	write(t, "data", dir, "f")
	first := mustScan(t, s, scan.Cache{}, scan.Options{Settle: time.Minute})
	if e, ok := first.Cache.Get("keys/f"); !ok || e.Settled {
		t.Errorf("%v %+v", ok, e)
	}
	if res := mustScan(t, s, first.Cache, scan.Options{Settle: time.Minute}); res.FilesRead != 1 {
		t.Errorf("read %d files", res.FilesRead)
	}
}

func TestFilesFromTheFutureAreNotTrusted(t *testing.T) {
	s, dir := newScanner(t, func() time.Time { return time.Now().Add(-time.Hour) })
	write(t, "data", dir, "f")
	first := mustScan(t, s, scan.Cache{}, scan.Options{})
	if res := mustScan(t, s, first.Cache, scan.Options{}); res.FilesRead != 1 {
		t.Errorf("read %d files", res.FilesRead)
	}
}

// TestChangesThroughAMappingAreSeen stores twice into one mapped page, with a
// scan in between. The second store must not go unnoticed.
func TestChangesThroughAMappingAreSeen(t *testing.T) {
	s, dir := newScanner(t, later)
	f, err := os.OpenFile(write(t, "....", dir, "f"), os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	var fs unix.Statfs_t
	must(t, unix.Fstatfs(int(f.Fd()), &fs))
	if fs.Type == unix.TMPFS_MAGIC {
		t.Skip("tmpfs does not stamp what is stored through a mapping")
	}
	page, err := unix.Mmap(int(f.Fd()), 0, 4, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(t, err)
	defer unix.Munmap(page)
	page[0] = '1'
	first := mustScan(t, s, scan.Cache{}, scan.Options{})
	wantContents(t, first, "keys/f", "1...")
	time.Sleep(50 * time.Millisecond)
	page[0] = '2'
	wantContents(t, mustScan(t, s, first.Cache, scan.Options{}), "keys/f", "2...")
}

func TestCacheOfWhatCouldNotBeLookedAtIsKept(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	write(t, "data", root, "f")
	s := scannerAt(t, root, later)
	first := mustScan(t, s, scan.Cache{}, scan.Options{})
	must(t, os.Rename(root, root+".away"))
	away := mustScan(t, s, first.Cache, scan.Options{})
	wantAbsent(t, away, "keys/f")
	must(t, os.Rename(root+".away", root))
	if back := mustScan(t, s, away.Cache, scan.Options{}); back.FilesRead != 0 {
		t.Errorf("read %d files again", back.FilesRead)
	}
	must(t, os.Remove(filepath.Join(root, "f")))
	if res := mustScan(t, s, first.Cache, scan.Options{}); res.Cache.Len() != 0 {
		t.Errorf("the cache remembers %d files that are gone", res.Cache.Len())
	}
}

func TestReplace(t *testing.T) {
	s, dir := newScanner(t, later)
	for _, f := range []string{"a/1", "a/2", "a-b", "a", "z"} {
		if f != "a" {
			write(t, f, dir, f)
		}
	}
	whole := mustScan(t, s, scan.Cache{}, scan.Options{}).Cache
	must(t, os.Remove(filepath.Join(dir, "a", "1")))
	write(t, "new", dir, "a", "3")
	part := mustScanNames(t, s, whole, "keys/a")
	if part.Cache.Len() != 2 {
		t.Errorf("the part has %d entries", part.Cache.Len())
	}
	merged := whole.Replace([]userdata.Name{"keys/a"}, part.Cache)
	if want := mustScan(t, s, whole, scan.Options{}).Cache; !reflect.DeepEqual(merged, want) {
		t.Errorf("got %+v, want %+v", merged, want)
	}
	if whole.Len() != 4 {
		t.Error("Replace changed its receiver")
	}
}

func TestCacheRoundTrip(t *testing.T) {
	s, dir := newScanner(t, later)
	write(t, "data", dir, "no\xffutf8")
	write(t, "\x00", dir, "nul")
	p := write(t, "data", dir, "attrs")
	if err := unix.Setxattr(p, "user.a", []byte("1"), 0); err == nil {
		must(t, unix.Setxattr(p, "user.empty", nil, 0))
	}
	cache := mustScan(t, s, scan.Cache{}, scan.Options{}).Cache
	data, err := cache.Marshal()
	must(t, err)
	var again scan.Cache
	must(t, again.Unmarshal(data))
	if !reflect.DeepEqual(cache, again) {
		t.Errorf("got %+v, want %+v", again, cache)
	}
	twice, err := again.Marshal()
	must(t, err)
	if !bytes.Equal(data, twice) {
		t.Error("one cache has two encodings")
	}
	if res := mustScan(t, s, again, scan.Options{}); res.FilesRead != 0 {
		t.Errorf("read %d files", res.FilesRead)
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	s, dir := newScanner(t, later)
	write(t, "1", dir, "a")
	write(t, "2", dir, "b")
	good := mustScan(t, s, scan.Cache{}, scan.Options{}).Cache
	data, err := good.Marshal()
	must(t, err)
	for name, bad := range map[string][]byte{
		"nothing":      nil,
		"cut short":    data[:len(data)-1],
		"more":         append(bytes.Clone(data), 0),
		"version":      bytes.Replace(data, []byte{1, 3}, []byte{1, 1}, 1),
		"a bad name":   bytes.Replace(data, []byte("keys/a"), []byte("keys//"), 1),
		"order":        bytes.Replace(data, []byte("keys/a"), []byte("keys/c"), 1),
		"a name twice": bytes.Replace(data, []byte("keys/a"), []byte("keys/b"), 1),
		"a huge array": {0xa2, 1, 1, 2, 0x9b, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff},
	} {
		cache := good
		if err := cache.Unmarshal(bad); !errors.Is(err, scan.ErrBadCache) {
			t.Errorf("%s: %v", name, err)
		}
		if cache.Len() != 2 {
			t.Errorf("%s: a failed Unmarshal changed the cache", name)
		}
	}
}

func FuzzCacheUnmarshal(f *testing.F) {
	s, dir := newScanner(f, later)
	write(f, "1", dir, "a")
	write(f, "\x00", dir, "b", "c")
	_ = unix.Setxattr(filepath.Join(dir, "a"), "user.x", []byte("y"), 0)
	data, err := mustScan(f, s, scan.Cache{}, scan.Options{}).Cache.Marshal()
	must(f, err)
	f.Add(data)
	f.Add([]byte{0xa2, 1, 1, 2, 0x80})
	f.Fuzz(func(t *testing.T, data []byte) {
		var cache, again scan.Cache
		if cache.Unmarshal(data) != nil {
			return
		}
		first, err := cache.Marshal()
		must(t, err)
		must(t, again.Unmarshal(first))
		second, err := again.Marshal()
		must(t, err)
		if !bytes.Equal(first, second) || cache.Len() != again.Len() {
			t.Error("a cache does not survive being written")
		}
	})
}

// TestCacheKeepsEveryFlag: what an entry can say of a file outlives a restart.
func TestCacheKeepsEveryFlag(t *testing.T) {
	dir := t.TempDir()
	write(t, "data", dir, "f")
	space, err := userdata.NewSpace([]userdata.Root{{Name: "keys", Class: userdata.Keys, Path: dir}})
	must(t, err)
	s := scan.New(space, later, func(_ context.Context, _ scan.Contents, n *scan.Nature) {
		n.Nul, n.Gap, n.Text, n.Ended, n.Dense, n.Open, n.Odd, n.Unsure = true, true, true, true, true, true, true, true
	})
	cache := mustScan(t, s, scan.Cache{}, scan.Options{}).Cache
	want, _ := cache.Get("keys/f")
	data, err := cache.Marshal()
	must(t, err)
	var again scan.Cache
	must(t, again.Unmarshal(data))
	if got, _ := again.Get("keys/f"); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
