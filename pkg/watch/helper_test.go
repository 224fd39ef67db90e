package watch_test

import (
	"context"
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

const (
	patience = 30 * time.Second
	window   = 350 * time.Millisecond // after which a hint mostly is there
)

// watched is a running watcher, and what it has told so far.
type watched struct {
	*watch.Watcher
	t      *testing.T
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan error
	seen   []watch.Hint
}

// start runs a watcher of the roots and waits until those that exist are watched.
func start(t *testing.T, backend watch.Backend, roots map[string]string) *watched {
	t.Helper()
	var list []userdata.Root
	for name, path := range roots {
		list = append(list, userdata.Root{Name: name, Class: userdata.Keys, Path: path})
	}
	space, err := userdata.NewSpace(list)
	must(t, err)
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	w, err := watch.New(space, watch.Config{Backend: backend}, log)
	must(t, err)
	s := &watched{Watcher: w, t: t, ended: make(chan error, 1)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	go func() { s.ended <- w.Run(s.ctx) }()
	t.Cleanup(s.stop)
	for name, path := range roots {
		if st, err := os.Stat(path); err == nil && st.IsDir() {
			s.wantRescan(name)
		}
	}
	return s
}

// stop ends the watcher; what comes until then is dropped.
func (s *watched) stop() {
	s.cancel()
	for range s.Hints() {
	}
	select {
	case err := <-s.ended:
		if err != nil {
			s.t.Errorf("Run: %v", err)
		}
	case <-time.After(patience):
		s.t.Error("Run does not end")
	}
	s.ended <- nil
}

// want waits for a hint that satisfies ok, an earlier one too.
func (s *watched) want(what string, ok func(watch.Hint) bool) {
	s.t.Helper()
	timeout := time.After(patience)
	for !slices.ContainsFunc(s.seen, ok) {
		select {
		case h := <-s.Hints():
			s.seen = append(s.seen, h)
		case <-timeout:
			s.t.Fatalf("no hint for %s; hints were %v", what, s.seen)
		}
	}
}

// wantName waits until the name is hinted at, by itself or by a directory.
func (s *watched) wantName(n userdata.Name) {
	s.t.Helper()
	s.want(string(n), func(h watch.Hint) bool {
		return slices.ContainsFunc(h.Names, func(o userdata.Name) bool { return n.Below(o) && !o.IsRoot() })
	})
}

func (s *watched) wantRescan(root string) {
	s.t.Helper()
	s.want("rescan of "+root, func(h watch.Hint) bool { return h.Root == root && h.Rescan && h.Names == nil })
}

// sync waits until all that has happened so far has been told, and drops it. It
// leaves a symlink in the root, as that is a single event.
func (s *watched) sync(root, path string) {
	s.t.Helper()
	mark := fmt.Sprint("mark", time.Now().UnixNano())
	must(s.t, os.Symlink("x", filepath.Join(path, mark)))
	s.wantName(userdata.Name(root + "/" + mark))
	s.seen = nil
}

// wantWatched changes a file until there is a hint at it: a rescan that was asked
// for because the root was lost may be told before it is watched anew.
func (s *watched) wantWatched(path string, n userdata.Name) {
	s.t.Helper()
	hinted := func(h watch.Hint) bool { return slices.Contains(h.Names, n) }
	for end := time.Now().Add(patience); !slices.ContainsFunc(s.seen, hinted); {
		if time.Now().After(end) {
			s.t.Fatalf("no hint for %s; hints were %v", n, s.seen)
		}
		write(s.t, "x", path)
		select {
		case h := <-s.Hints():
			s.seen = append(s.seen, h)
		case <-time.After(window):
		}
	}
}

// wantBackend waits until that is in use.
func (s *watched) wantBackend(backend watch.Backend) {
	s.t.Helper()
	for end := time.Now().Add(patience); s.Backend() != backend; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("the backend is %q, want %q", s.Backend(), backend)
		}
	}
}

// settle drops what has been told so far and what else comes within a moment.
func (s *watched) settle() {
	for {
		select {
		case <-s.Hints():
		case <-time.After(window):
			s.seen = nil
			return
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, data string, path ...string) string {
	t.Helper()
	p := filepath.Join(path...)
	must(t, os.MkdirAll(filepath.Dir(p), 0o755))
	must(t, os.WriteFile(p, []byte(data), 0o644))
	return p
}

// private returns a maker of directories on a file system of the test's own, where
// it can be mounted and watched: fanotify watches a whole file system, and what
// others do on a shared one can be too much for its queue.
func private(t *testing.T) (newDir func() string) {
	t.Helper()
	base := t.TempDir()
	if err := unix.Mount("none", base, "tmpfs", 0, ""); err != nil {
		return t.TempDir
	}
	t.Cleanup(func() { _ = unix.Unmount(base, unix.MNT_DETACH) })
	if watch.ProbeFanotify(base) != nil {
		return t.TempDir
	}
	count := 0
	return func() string {
		count++
		dir := filepath.Join(base, fmt.Sprint(count))
		must(t, os.Mkdir(dir, 0o755))
		return dir
	}
}
