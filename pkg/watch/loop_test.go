package watch

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// newTestLoop makes a loop for one root, with a clock that the test sets.
func newTestLoop(t *testing.T, path string, now func() time.Time) *loop {
	t.Helper()
	space, err := userdata.NewSpace([]userdata.Root{{Name: "keys", Class: userdata.Keys, Path: path}})
	if err != nil {
		t.Fatal(err)
	}
	w, err := New(space, Config{Backend: Inotify}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLoop(w, newCoalescer())
	if err != nil {
		t.Fatal(err)
	}
	l.now = now
	t.Cleanup(l.close)
	return l
}

// missing makes some paths at which there is no root, in a directory each.
func missing(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	for name, to := range map[string]string{"link": "nowhere", "far": "media/card"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"nothing there": filepath.Join(dir, "keys"), "nor above": filepath.Join(dir, "a", "b", "keys"),
		"a symlink to nowhere": filepath.Join(dir, "link"), "behind one": filepath.Join(dir, "far", "keys"),
		"a file": filepath.Join(dir, "file"), "below a file": filepath.Join(dir, "file", "keys"),
	}
}

// TestNothingWakesForAMissingRoot runs the watch with a clock that leaps an hour each
// time it is read: whoever waits for a time would be woken over and over.
func TestNothingWakesForAMissingRoot(t *testing.T) {
	for name, path := range missing(t) {
		t.Run(name, func(t *testing.T) {
			var reads atomic.Int64
			start := time.Now()
			l := newTestLoop(t, path, func() time.Time { return start.Add(time.Duration(reads.Add(1)) * time.Hour) })
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			if err := l.run(ctx); err != nil {
				t.Fatal(err)
			}
			if n := reads.Load(); n > 0 || l.timeout() != -1 {
				t.Errorf("woken %d times by the clock; waits for %d ms", n, l.timeout())
			}
			if h, told := l.hints.take(); !told || !h.Rescan || h.Blind {
				t.Errorf("the hint is %+v", h)
			}
		})
	}
}

// TestWhatCannotBeWatchedIsLookedForLessAndLess: a symlink that leads to itself can be made
// whole by nobody whom the watch would notice for sure.
func TestWhatCannotBeWatchedIsLookedForLessAndLess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "loop")
	if err := os.Symlink("loop", path); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	l := newTestLoop(t, path, func() time.Time { return now })
	l.check()
	if h, told := l.hints.take(); !told || !h.Rescan || !h.Blind {
		t.Errorf("the hint is %+v", h)
	}
	for want := retryFirst; want < 4*retryLast; want *= 2 {
		wait := time.Duration(l.timeout()-1) * time.Millisecond
		if wait != min(want, retryLast) {
			t.Fatalf("waits %v, want %v", wait, min(want, retryLast))
		}
		now = now.Add(wait)
		l.handle(nil)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	l.check()
	if l.timeout() != -1 || l.pause != retryFirst {
		t.Errorf("waits %d ms for a root that is watched, and then %v", l.timeout(), l.pause)
	}
	if h, told := l.hints.take(); !told || !h.Rescan || h.Blind {
		t.Errorf("the hint is %+v", h)
	}
}
