package watch_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/watch"
	"golang.org/x/sys/unix"
)

// TestTheRootItself has the root come and go in every way, and wants a rescan
// each time, and the root to be watched afterwards.
func TestTheRootItself(t *testing.T) {
	cases := []struct {
		name  string
		lose  func(t *testing.T, dir string) // dir/home/keys is the root
		found func(t *testing.T, dir string)
	}{
		{"removed and made again",
			func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Join(dir, "home", "keys"))) },
			func(t *testing.T, dir string) { must(t, os.Mkdir(filepath.Join(dir, "home", "keys"), 0o700)) }},
		{"moved away and another put in its place",
			func(t *testing.T, dir string) {
				must(t, os.Rename(filepath.Join(dir, "home", "keys"), filepath.Join(dir, "away")))
			},
			func(t *testing.T, dir string) {
				must(t, os.Mkdir(filepath.Join(dir, "other"), 0o700))
				must(t, os.Rename(filepath.Join(dir, "other"), filepath.Join(dir, "home", "keys")))
			}},
		{"what lies above it moved",
			func(t *testing.T, dir string) {
				must(t, os.Rename(filepath.Join(dir, "home"), filepath.Join(dir, "house")))
			},
			func(t *testing.T, dir string) {
				must(t, os.Rename(filepath.Join(dir, "house"), filepath.Join(dir, "home")))
			}},
		{"all removed and made again step by step",
			func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Join(dir, "home"))) },
			func(t *testing.T, dir string) { must(t, os.MkdirAll(filepath.Join(dir, "home", "keys"), 0o700)) }},
		{"a file in its place",
			func(t *testing.T, dir string) {
				must(t, os.RemoveAll(filepath.Join(dir, "home", "keys")))
				write(t, "x", dir, "home", "keys")
			},
			func(t *testing.T, dir string) {
				must(t, os.Remove(filepath.Join(dir, "home", "keys")))
				must(t, os.Mkdir(filepath.Join(dir, "home", "keys"), 0o700))
			}},
	}
	conform(t, func(t *testing.T, backend watch.Backend, newDir func() string) {
		dirs, roots := make([]string, len(cases)), make(map[string]string)
		for i := range cases {
			dirs[i] = newDir()
			roots[fmt.Sprint("r", i)] = filepath.Join(dirs[i], "home", "keys")
			write(t, "x", dirs[i], "home", "keys", "f")
		}
		s := start(t, backend, roots)
		s.settle()
		for i, c := range cases {
			c.lose(t, dirs[i])
		}
		for i, c := range cases {
			t.Log(c.name)
			s.wantRescan(fmt.Sprint("r", i))
		}
		s.wantBackend("")
		s.settle()
		for i, c := range cases {
			c.found(t, dirs[i])
		}
		for i, c := range cases {
			t.Log(c.name)
			s.wantRescan(fmt.Sprint("r", i))
		}
		for i, c := range cases {
			t.Log(c.name)
			name := fmt.Sprint("r", i)
			s.wantWatched(filepath.Join(roots[name], "f"), userdata.Name(name+"/f"))
		}
	})
}

func TestARootThatIsMissingAtFirst(t *testing.T) {
	conform(t, func(t *testing.T, backend watch.Backend, newDir func() string) {
		root := filepath.Join(newDir(), "a", "b", "keys")
		s := start(t, backend, map[string]string{"keys": root})
		s.wantRescan("keys")
		s.settle()
		must(t, os.MkdirAll(root, 0o700))
		s.wantRescan("keys")
		s.wantWatched(filepath.Join(root, "f"), "keys/f")
	})
}

// TestARootBehindASymlinkToNowhere: what the symlink leads to comes later, as a memory
// card does.
func TestARootBehindASymlinkToNowhere(t *testing.T) {
	conform(t, func(t *testing.T, backend watch.Backend, newDir func() string) {
		dir := newDir()
		must(t, os.Symlink("media/../media/card", filepath.Join(dir, "keys")))
		must(t, os.Mkdir(filepath.Join(dir, "media"), 0o700))
		s := start(t, backend, map[string]string{"keys": filepath.Join(dir, "keys", "root")})
		s.wantRescan("keys")
		s.settle()
		must(t, os.MkdirAll(filepath.Join(dir, "media", "card", "root"), 0o700))
		s.wantRescan("keys")
		s.wantWatched(filepath.Join(dir, "media", "card", "root", "f"), "keys/f")
	})
}

func TestARootBehindASymlink(t *testing.T) {
	conform(t, func(t *testing.T, backend watch.Backend, newDir func() string) {
		dir := newDir()
		link := filepath.Join(dir, "keys")
		write(t, "x", dir, "one", "f")
		write(t, "x", dir, "two", "f")
		must(t, os.Symlink("one", link))
		s := start(t, backend, map[string]string{"keys": link})
		write(t, "y", dir, "one", "f")
		s.wantName("keys/f")
		must(t, os.Symlink("two", link+".new"))
		must(t, os.Rename(link+".new", link))
		s.wantWatched(filepath.Join(dir, "two", "g"), "keys/g")
	})
}

// TestTwoRootsExchanged has two directories change places at
// once, as a system update by renameat2 does.
func TestTwoRootsExchanged(t *testing.T) {
	conform(t, func(t *testing.T, backend watch.Backend, newDir func() string) {
		dir := newDir()
		one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
		write(t, "x", one, "f")
		write(t, "x", two, "f")
		s := start(t, backend, map[string]string{"one": one, "two": two})
		s.settle()
		if err := unix.Renameat2(unix.AT_FDCWD, one, unix.AT_FDCWD, two, unix.RENAME_EXCHANGE); err != nil {
			t.Skipf("cannot exchange: %v", err)
		}
		s.wantRescan("one")
		s.wantRescan("two")
		s.wantWatched(filepath.Join(one, "g"), "one/g")
	})
}

// TestMounts mounts file systems over a root and below it, and unmounts them
// again, which the watch must not hinder.
func TestMounts(t *testing.T) {
	for _, backend := range []watch.Backend{watch.Inotify, watch.Auto} {
		t.Run(string(backend), func(t *testing.T) {
			t.Parallel()
			newDir := private(t)
			over, below := newDir(), newDir()
			points := []string{over, filepath.Join(below, "sub")}
			must(t, os.Mkdir(points[1], 0o700))
			s := start(t, backend, map[string]string{"over": over, "below": below})
			s.settle()
			for _, p := range points {
				if err := unix.Mount("none", p, "tmpfs", 0, ""); err != nil {
					t.Skipf("cannot mount: %v", err)
				}
				defer unix.Unmount(p, unix.MNT_DETACH)
			}
			s.wantRescan("over")
			s.wantRescan("below")
			s.wantWatched(filepath.Join(points[0], "f"), "over/f")
			s.wantWatched(filepath.Join(points[1], "f"), "below/sub/f")
			s.settle()
			for _, p := range points {
				unmount(t, p)
			}
			s.wantRescan("over")
			s.wantRescan("below")
			s.wantWatched(filepath.Join(points[0], "g"), "over/g")
			s.wantWatched(filepath.Join(points[1], "g"), "below/sub/g")
		})
	}
}

// unmount tries again for a while, as the watch looks in now and then.
func unmount(t *testing.T, point string) {
	t.Helper()
	err := unix.Unmount(point, 0)
	for end := time.Now().Add(patience); err != nil && time.Now().Before(end); err = unix.Unmount(point, 0) {
		time.Sleep(10 * time.Millisecond)
	}
	must(t, err)
}
