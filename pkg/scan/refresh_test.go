package scan_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// twoRoots makes a space of the roots "keys" and "user-data" below a new directory.
func twoRoots(t *testing.T) (s *scan.Scanner, dir string) {
	t.Helper()
	dir = t.TempDir()
	var roots []userdata.Root
	for _, c := range []userdata.Class{userdata.Keys, userdata.UserData} {
		must(t, os.Mkdir(filepath.Join(dir, string(c)), 0o755))
		roots = append(roots, userdata.Root{Name: string(c), Class: c, Path: filepath.Join(dir, string(c))})
	}
	space, err := userdata.NewSpace(roots)
	must(t, err)
	return scan.New(space, later, nil), dir
}

func refresh(t *testing.T, s *scan.Scanner, before scan.Result, names ...userdata.Name) scan.Result {
	t.Helper()
	res, err := s.Refresh(context.Background(), before, names, scan.Options{})
	must(t, err)
	return res
}

// wantAsScanned wants of a result what a scan of everything says.
func wantAsScanned(t *testing.T, s *scan.Scanner, got scan.Result) {
	t.Helper()
	want := mustScan(t, s, got.Cache, scan.Options{})
	for _, d := range []manifest.Delta{manifest.Diff(want.Manifest, got.Manifest), manifest.Diff(got.Manifest, want.Manifest)} {
		for _, it := range d.Put {
			t.Errorf("differs from a scan: %+v", it)
		}
	}
	if !slices.EqualFunc(got.Manifest.Items(), want.Manifest.Items(), func(a, b manifest.Item) bool { return a.MTime == b.MTime && a.Kind == b.Kind }) {
		t.Error("the times or kinds of items differ")
	}
	if !reflect.DeepEqual(got.Cache, want.Cache) || want.FilesRead > 0 {
		t.Errorf("the cache differs, or does not hold: a scan with it read %d files", want.FilesRead)
	}
	if !reflect.DeepEqual(got.Dangling, want.Dangling) || !reflect.DeepEqual(got.Roots, want.Roots) {
		t.Errorf("symlinks to nowhere %v, want %v; roots %v, want %v", got.Dangling, want.Dangling, got.Roots, want.Roots)
	}
	reasons := func(all []scan.Problem) (out []string) {
		for _, p := range all {
			out = append(out, string(p.Name)+" "+string(p.Reason))
		}
		return out
	}
	if g, w := reasons(got.Problems), reasons(want.Problems); !slices.Equal(g, w) {
		t.Errorf("problems %q, want %q", g, w)
	}
}

// TestRefreshAfterEvents does something to a tree and names what a watch names.
func TestRefreshAfterEvents(t *testing.T) {
	for _, c := range []struct {
		name  string
		do    func(t *testing.T, dir string)
		named string // of what happened there
		read  int64  // files at most
	}{
		{"nothing", func(*testing.T, string) {}, "keys/a", 0},
		{"written", func(t *testing.T, dir string) { write(t, "other", dir, "keys/a") }, "keys/a", 1},
		{"new", func(t *testing.T, dir string) { write(t, "new", dir, "keys/d/new") }, "keys/d/new", 1},
		{"deleted", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "keys/d/b"))) }, "keys/d/b", 0},
		{"renamed", func(t *testing.T, dir string) { move(t, dir, "keys/a", "keys/d/a2") }, "keys/a keys/d/a2", 1},
		{"renamed to another root", func(t *testing.T, dir string) { move(t, dir, "keys/a", "user-data/a") }, "keys/a user-data/a", 1},
		{"put over another", func(t *testing.T, dir string) { move(t, dir, "keys/d/b", "keys/a") }, "keys/d/b keys/a", 1},
		{"case of the name", func(t *testing.T, dir string) { move(t, dir, "keys/a", "keys/A") }, "keys/a keys/A", 1},
		{"directory renamed", func(t *testing.T, dir string) { move(t, dir, "keys/d", "keys/e") }, "keys/d keys/e", 2},
		{"directory moved away", func(t *testing.T, dir string) { move(t, dir, "keys/d", "outside") }, "keys/d", 0},
		{"directory moved down", func(t *testing.T, dir string) { move(t, dir, "keys/d", "user-data/sub/d") }, "keys/d user-data/sub/d", 2},
		{"directories swapped", func(t *testing.T, dir string) {
			must(t, unix.Renameat2(unix.AT_FDCWD, filepath.Join(dir, "keys/d"), unix.AT_FDCWD, filepath.Join(dir, "user-data/sub"), unix.RENAME_EXCHANGE))
		}, "keys/d user-data/sub", 4},
		{"directory with contents", func(t *testing.T, dir string) { write(t, "x", dir, "keys/n/m/x") }, "keys/n", 1},
		{"directory deleted", func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Join(dir, "keys/d"))) }, "keys/d keys/d/b keys/d/e keys/d/e/c", 0},
		{"file became a directory", func(t *testing.T, dir string) {
			must(t, os.Remove(filepath.Join(dir, "keys/a")))
			write(t, "x", dir, "keys/a/x")
		}, "keys/a", 1},
		{"directory became a file", func(t *testing.T, dir string) {
			must(t, os.RemoveAll(filepath.Join(dir, "keys/d")))
			write(t, "x", dir, "keys/d")
		}, "keys/d", 1},
		{"symlink in the place of a directory", func(t *testing.T, dir string) {
			move(t, dir, "keys/d", "keys/real")
			must(t, os.Symlink("real", filepath.Join(dir, "keys/d")))
		}, "keys/d keys/d/b keys/real", 2},
		{"written by another name", func(t *testing.T, dir string) { write(t, "other", dir, "user-data/link") }, "user-data/link", 2},
		{"another name's mode", func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, "user-data/link"), 0o600)) }, "user-data/link", 2},
		{"another name deleted", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "user-data/link"))) }, "user-data/link", 1},
		{"another name made", func(t *testing.T, dir string) {
			must(t, os.Link(filepath.Join(dir, "keys/a"), filepath.Join(dir, "user-data/sub/a")))
		}, "user-data/sub/a", 2},
		{"mode of a directory", func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, "keys/d"), 0o700)) }, "keys/d", 0},
		{"mode of a root", func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, "keys"), 0o700)) }, "keys", 0},
		{"symlinks", func(t *testing.T, dir string) {
			must(t, os.Symlink("nowhere", filepath.Join(dir, "keys/s")))
			must(t, os.Symlink("d", filepath.Join(dir, "keys/t")))
		}, "keys/s keys/t", 0},
		{"symlink mended", func(t *testing.T, dir string) { write(t, "x", dir, "user-data/target") }, "user-data/target", 1},
		{"pipe", func(t *testing.T, dir string) { must(t, unix.Mkfifo(filepath.Join(dir, "keys/d/p"), 0o600)) }, "keys/d/p", 0},
		{"pipe gone", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "user-data/pipe"))) }, "user-data/pipe", 0},
		{"half restored", func(t *testing.T, dir string) { write(t, "x", dir, "keys/.reprovision-0123456789abcdef") }, "keys/.reprovision-0123456789abcdef", 0},
		{"root moved away", func(t *testing.T, dir string) { move(t, dir, "keys", "elsewhere") }, "keys", 0},
		{"root moved away, and an item is named", func(t *testing.T, dir string) { move(t, dir, "keys", "elsewhere") }, "keys/d/b", 0},
		{"root replaced", func(t *testing.T, dir string) {
			move(t, dir, "keys", "elsewhere")
			write(t, "x", dir, "keys/other")
		}, "keys", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, dir := twoRoots(t)
			write(t, "contents of a", dir, "keys/a")
			write(t, "contents of b", dir, "keys/d/b")
			write(t, "contents of c", dir, "keys/d/e/c")
			write(t, "linked", dir, "user-data/sub/file")
			write(t, "more", dir, "user-data/sub/more")
			must(t, os.Link(filepath.Join(dir, "user-data/sub/file"), filepath.Join(dir, "user-data/link")))
			must(t, os.Symlink("target", filepath.Join(dir, "user-data/to")))
			must(t, unix.Mkfifo(filepath.Join(dir, "user-data/pipe"), 0o600))
			before := mustScan(t, s, scan.Cache{}, scan.Options{})
			pauseForTick()
			c.do(t, dir)
			var names []userdata.Name
			for _, n := range strings.Fields(c.named) {
				names = append(names, userdata.Name(n))
			}
			after := refresh(t, s, before, names...)
			if read := after.FilesRead - before.FilesRead; read > c.read {
				t.Errorf("read %d files, want at most %d", read, c.read)
			}
			wantAsScanned(t, s, after)
		})
	}
}

func move(t *testing.T, dir, from, to string) {
	t.Helper()
	must(t, os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)))
}

// pauseForTick lets the clock of coarse file systems move.
func pauseForTick() { _ = unix.Nanosleep(&unix.Timespec{Nsec: 20e6}, nil) }

// TestRefreshLooksNowhereElse changes a file that is not named.
func TestRefreshLooksNowhereElse(t *testing.T) {
	s, dir := twoRoots(t)
	write(t, "one", dir, "keys/d/a")
	write(t, "two", dir, "user-data/b")
	before := mustScan(t, s, scan.Cache{}, scan.Options{})
	pauseForTick()
	write(t, "other", dir, "keys/d/a")
	write(t, "other", dir, "user-data/b")
	after := refresh(t, s, before, "user-data/b")
	wantContents(t, after, "keys/d/a", "one")
	wantContents(t, after, "user-data/b", "other")
	wantAsScanned(t, s, refresh(t, s, after, "keys/d/a"))
}

func TestRefreshStopsWithTheContext(t *testing.T) {
	s, dir := twoRoots(t)
	write(t, "one", dir, "keys/a")
	before := mustScan(t, s, scan.Cache{}, scan.Options{})
	write(t, "other", dir, "keys/a")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Refresh(ctx, before, []userdata.Name{"keys/a"}, scan.Options{}); err == nil {
		t.Error("no error")
	}
}

// TestRefreshAfterManyEvents does all kinds of things at random, a few at a time, and
// compares with a scan of everything.
func TestRefreshAfterManyEvents(t *testing.T) {
	for seed := range uint64(4) {
		s, dir := twoRoots(t)
		w := &world{T: t, Rand: rand.New(rand.NewPCG(seed, 0)), dir: dir}
		for range 40 {
			w.act()
		}
		res := mustScan(t, s, scan.Cache{}, scan.Options{})
		for range 60 {
			w.named = nil
			for range 1 + w.IntN(4) {
				w.act()
			}
			res = refresh(t, s, res, w.named...)
			wantAsScanned(t, s, res)
			if t.Failed() {
				t.Fatalf("seed %d, named %q", seed, w.named)
			}
		}
	}
}

// world is a tree to which things happen, and what a watch names of it.
type world struct {
	*testing.T
	*rand.Rand
	dir   string
	made  int
	named []userdata.Name
}

// place is a path that may or may not exist, at most three directories deep.
func (w *world) place() string {
	p := w.dir + "/" + []string{"keys", "user-data"}[w.IntN(2)]
	for range 1 + w.IntN(3) {
		p += "/" + string(rune('a'+w.IntN(5)))
	}
	return p
}

func (w *world) act() {
	a, b := w.place(), w.place()
	from, to := w.name(a), w.name(b)
	w.made++
	var err error
	both := false
	switch w.IntN(8) {
	case 0, 1:
		from = w.name(followed(a))
		err = os.WriteFile(a, fmt.Appendf(nil, "contents no. %d", w.made), 0o644)
	case 2:
		err = os.Mkdir(a, 0o755)
	case 3:
		err = os.Remove(a)
	case 4:
		err, both = os.Rename(a, b), true
	case 5:
		err, from = os.Link(a, b), to // of a symlink itself
	case 6:
		err, from = os.Symlink(filepath.Base(a), b), to
	case 7:
		from = w.name(followed(a))
		err = os.Chmod(a, os.FileMode(0o700+w.IntN(2)*0o55))
	}
	if err != nil {
		return // not possible there
	}
	w.named = append(w.named, from)
	if both {
		w.named = append(w.named, to)
	}
}

// name is what a watch calls a path: that without symlinks on the way.
func (w *world) name(path string) userdata.Name {
	real, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "" // and nothing can happen there
	}
	rel, err := filepath.Rel(w.dir, filepath.Join(real, filepath.Base(path)))
	must(w, err)
	return userdata.Name(rel)
}

// followed is where a path leads to, whether anything lies there or not.
func followed(path string) string {
	for range 40 {
		target, err := os.Readlink(path)
		if err != nil {
			break
		}
		path = filepath.Join(filepath.Dir(path), target)
	}
	return path
}
