package watch

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// TestNoWayToWatchForAWhile: the watcher goes on without, says that it is blind, and
// watches as soon as it can.
func TestNoWayToWatchForAWhile(t *testing.T) {
	space, err := userdata.NewSpace([]userdata.Root{{Name: "keys", Class: userdata.Keys, Path: t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	w, err := New(space, Config{Backend: Inotify}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	granted := make(chan struct{})
	w.pause = time.Millisecond
	w.open = func(w *Watcher, hints *coalescer) (*loop, error) {
		select {
		case <-granted:
			return newLoop(w, hints)
		default:
			return nil, fmt.Errorf("cannot use inotify: %w", unix.EMFILE)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	if h := <-w.Hints(); h.Root != "keys" || !h.Rescan || !h.Blind {
		t.Errorf("got %+v", h)
	}
	close(granted)
	for h := range w.Hints() {
		if h.Rescan && !h.Blind {
			break
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
