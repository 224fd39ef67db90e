package watch_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/watch"
	"golang.org/x/sys/unix"
)

// conform runs a test with each backend that is permitted here. newDir makes
// directories on one file system.
func conform(t *testing.T, test func(t *testing.T, backend watch.Backend, newDir func() string)) {
	t.Helper()
	t.Parallel()
	t.Run("inotify", func(t *testing.T) { t.Parallel(); test(t, watch.Inotify, t.TempDir) })
	t.Run("fanotify", func(t *testing.T) {
		t.Parallel()
		if err := watch.ProbeFanotify(t.TempDir()); err != nil {
			t.Skipf("fanotify is not permitted here: %v", err)
		}
		test(t, watch.Fanotify, private(t))
	})
}

// TestEachChangeIsHinted makes each change in a root of its own.
func TestEachChangeIsHinted(t *testing.T) {
	changes := []struct {
		name string
		do   func(t *testing.T, root, outside string)
		want []string
	}{
		{"create", func(t *testing.T, root, _ string) { write(t, "x", root, "new") }, []string{"new"}},
		{"write", func(t *testing.T, root, _ string) { write(t, "y", root, "f") }, []string{"f"}},
		{"deep write", func(t *testing.T, root, _ string) { write(t, "y", root, "a", "b", "f") }, []string{"a/b/f"}},
		{"truncate", func(t *testing.T, root, _ string) { must(t, os.Truncate(filepath.Join(root, "f"), 0)) }, []string{"f"}},
		{"chmod", func(t *testing.T, root, _ string) { must(t, os.Chmod(filepath.Join(root, "f"), 0o600)) }, []string{"f"}},
		{"chmod of a directory", func(t *testing.T, root, _ string) { must(t, os.Chmod(filepath.Join(root, "a"), 0o700)) }, []string{"a"}},
		{"touch", func(t *testing.T, root, _ string) {
			must(t, os.Chtimes(filepath.Join(root, "f"), time.Now(), time.Unix(1, 0)))
		}, []string{"f"}},
		{"delete", func(t *testing.T, root, _ string) { must(t, os.Remove(filepath.Join(root, "f"))) }, []string{"f"}},
		{"delete a tree", func(t *testing.T, root, _ string) { must(t, os.RemoveAll(filepath.Join(root, "a"))) }, []string{"a/b/f", "a"}},
		{"symlink", func(t *testing.T, root, _ string) { must(t, os.Symlink("f", filepath.Join(root, "l"))) }, []string{"l"}},
		{"hard link", func(t *testing.T, root, _ string) {
			must(t, os.Link(filepath.Join(root, "f"), filepath.Join(root, "l")))
		}, []string{"l"}},
		{"rename", func(t *testing.T, root, _ string) {
			must(t, os.Rename(filepath.Join(root, "f"), filepath.Join(root, "a", "g")))
		}, []string{"f", "a/g"}},
		{"replace by rename", func(t *testing.T, root, outside string) {
			must(t, os.Rename(write(t, "z", outside, "tmp"), filepath.Join(root, "f")))
		}, []string{"f"}},
		{"move a tree in", func(t *testing.T, root, outside string) {
			write(t, "z", outside, "t", "u", "f")
			must(t, os.Rename(filepath.Join(outside, "t"), filepath.Join(root, "t")))
		}, []string{"t/u/f"}},
		{"move a tree out", func(t *testing.T, root, outside string) {
			must(t, os.MkdirAll(outside, 0o700))
			must(t, os.Rename(filepath.Join(root, "a"), filepath.Join(outside, "a")))
		}, []string{"a"}},
		{"make a tree", func(t *testing.T, root, _ string) { write(t, "z", root, "n", "o", "p", "f") }, []string{"n/o/p/f"}},
		{"a name that is no UTF-8", func(t *testing.T, root, _ string) { write(t, "z", root, "a\xff\n b") }, []string{"a\xff\n b"}},
	}
	conform(t, func(t *testing.T, backend watch.Backend, newDir func() string) {
		outside := newDir()
		roots := make(map[string]string)
		for i := range changes {
			root := newDir()
			write(t, "x", root, "f")
			write(t, "x", root, "a", "b", "f")
			roots[fmt.Sprint("r", i)] = root
		}
		s := start(t, backend, roots)
		if s.Backend() != backend {
			t.Errorf("the backend is %q", s.Backend())
		}
		for i, c := range changes {
			c.do(t, roots[fmt.Sprint("r", i)], filepath.Join(outside, fmt.Sprint(i)))
		}
		for i, c := range changes {
			for _, rel := range c.want {
				s.wantName(userdata.Name(fmt.Sprint("r", i, "/", rel)))
			}
		}
	})
}

func TestAFileThatStaysOpen(t *testing.T) {
	conform(t, func(t *testing.T, backend watch.Backend, newDir func() string) {
		root := newDir()
		f, err := os.OpenFile(write(t, "x", root, "log"), os.O_APPEND|os.O_WRONLY, 0)
		must(t, err)
		defer f.Close()
		s := start(t, backend, map[string]string{"keys": root})
		_, err = f.WriteString("line")
		must(t, err)
		s.wantName("keys/log")
	})
}

// TestDirectoriesAreFollowed changes files in directories that came or moved
// after the watch had begun.
func TestDirectoriesAreFollowed(t *testing.T) {
	conform(t, func(t *testing.T, backend watch.Backend, newDir func() string) {
		root, outside := newDir(), newDir()
		write(t, "x", root, "a", "b", "f")
		write(t, "x", outside, "in", "deep", "f")
		s := start(t, backend, map[string]string{"keys": root})
		must(t, os.Rename(filepath.Join(root, "a"), filepath.Join(root, "z")))
		must(t, os.Rename(filepath.Join(outside, "in"), filepath.Join(root, "in")))
		must(t, os.MkdirAll(filepath.Join(root, "n", "o"), 0o700))
		s.sync("keys", root)
		write(t, "y", root, "z", "b", "f")
		s.wantName("keys/z/b/f")
		write(t, "y", root, "in", "deep", "f")
		s.wantName("keys/in/deep/f")
		write(t, "y", root, "n", "o", "f")
		s.wantName("keys/n/o/f")
		for _, h := range s.seen {
			if slices.ContainsFunc(h.Names, func(n userdata.Name) bool { return n.Below("keys/a") }) {
				t.Errorf("a hint under the old name: %v", h)
			}
		}
	})
}

// TestWhatLiesOutsideIsNotHinted touches what is next to a root, and what a
// symlink in it leads to.
func TestWhatLiesOutsideIsNotHinted(t *testing.T) {
	conform(t, func(t *testing.T, backend watch.Backend, newDir func() string) {
		dir := newDir()
		root, beside := filepath.Join(dir, "keys"), filepath.Join(dir, "keys2")
		write(t, "x", root, "f")
		write(t, "x", beside, "sub", "f")
		must(t, os.Symlink(beside, filepath.Join(root, "link")))
		s := start(t, backend, map[string]string{"keys": root})
		s.sync("keys", root)
		write(t, "y", beside, "f")
		write(t, "y", beside, "sub", "f")
		must(t, os.Rename(filepath.Join(beside, "sub"), filepath.Join(beside, "sub2")))
		write(t, "y", dir, "f")
		time.Sleep(500 * time.Millisecond)
		write(t, "y", root, "f")
		s.wantName("keys/f")
		for _, h := range s.seen {
			if len(h.Names) != 1 || h.Names[0] != "keys/f" {
				t.Errorf("hint: %v", h)
			}
		}
	})
}

func TestNoHintWhileNothingHappens(t *testing.T) {
	conform(t, func(t *testing.T, backend watch.Backend, newDir func() string) {
		root := newDir()
		p := write(t, "x", root, "f")
		s := start(t, backend, map[string]string{"keys": root})
		s.sync("keys", root)
		_, err := os.ReadFile(p)
		must(t, err)
		_, err = os.ReadDir(root)
		must(t, err)
		select {
		case h := <-s.Hints():
			t.Errorf("a hint from nothing: %v", h)
		case <-time.After(700 * time.Millisecond):
		}
	})
}

func TestManyNamesBecomeARescan(t *testing.T) {
	conform(t, func(t *testing.T, backend watch.Backend, newDir func() string) {
		root, other := newDir(), newDir()
		s := start(t, backend, map[string]string{"keys": root, "more": other})
		s.sync("keys", root)
		for i := range 3000 {
			must(t, os.Symlink("x", filepath.Join(root, fmt.Sprint(i))))
		}
		write(t, "x", other, "f")
		time.Sleep(500 * time.Millisecond) // nobody receives: all is merged
		s.wantRescan("keys")
		s.wantName("more/f")
		for _, h := range s.seen {
			if len(h.Names) > 1000 {
				t.Errorf("%d names in a hint", len(h.Names))
			}
		}
	})
}

func TestRunEndsAndLeaksNothing(t *testing.T) {
	fds := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		return len(list)
	}
	for _, backend := range []watch.Backend{watch.Inotify, watch.Auto} {
		before := fds()
		for range 3 {
			s := start(t, backend, map[string]string{"keys": t.TempDir(), "gone": filepath.Join(t.TempDir(), "gone")})
			s.stop()
			if s.Backend() != "" {
				t.Errorf("%q is in use after the end", s.Backend())
			}
			if err := s.Run(context.Background()); !errors.Is(err, watch.ErrRanAlready) {
				t.Errorf("a second Run: %v", err)
			}
		}
		if after := fds(); after > before+2 {
			t.Errorf("%s: %d descriptors before, %d after", backend, before, after)
		}
	}
}

func TestRunEndsWhileNobodyReceives(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := start(t, watch.Auto, map[string]string{"keys": root})
	write(t, "x", root, "f")
	time.Sleep(400 * time.Millisecond)
	s.cancel()
	select {
	case err := <-s.ended:
		must(t, err)
		s.ended <- nil
	case <-time.After(patience):
		t.Fatal("Run does not end")
	}
}

func TestNewRefusesUnknownBackends(t *testing.T) {
	_, err := watch.New(userdata.Space{}, watch.Config{Backend: "kqueue"}, slog.New(slog.DiscardHandler))
	if !errors.Is(err, watch.ErrBadBackend) {
		t.Errorf("%v", err)
	}
}

// TestAutoFallsBack has a root on a file system that fanotify cannot watch.
func TestAutoFallsBack(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := unix.Mount("none", root, "ramfs", 0, ""); err != nil { // which has no file handles
		t.Skipf("cannot mount: %v", err)
	}
	defer unix.Unmount(root, unix.MNT_DETACH)
	if watch.ProbeFanotify(root) == nil {
		t.Skip("fanotify can watch a ramfs here")
	}
	s := start(t, watch.Auto, map[string]string{"keys": root})
	write(t, "x", root, "f")
	s.wantName("keys/f")
	if s.Backend() != watch.Inotify {
		t.Errorf("the backend is %q", s.Backend())
	}
}
