package file

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/card"
)

// TestSentry runs a reader that hardly ever looks by itself: what it sees it was told of, even
// after the directory was another one for a while.
func TestSentry(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cards")
	path := filepath.Join(dir, "card.img")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(dir, 0o700))
	events := make(chan card.Event, 16)
	r := New(Config{Path: path, Capacity: 16 << 10, Poll: time.Hour, Notify: func(e card.Event) { events <- e }})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	await := func(what string, kind card.EventKind) {
		t.Helper()
		select {
		case e := <-events:
			if e.Kind != kind {
				t.Fatalf("%s: got %+v", what, e)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: not seen", what)
		}
	}
	await("none", card.EventRemoved)
	must(os.WriteFile(path, nil, 0o600))
	await("put in", card.EventInserted)
	must(os.WriteFile(filepath.Join(dir, "other"), nil, 0o600))
	must(os.Rename(path, path+".pulled"))
	await("pulled", card.EventRemoved)
	must(os.Rename(path+".pulled", path))
	await("put in again", card.EventInserted)
	must(os.Rename(dir, dir+".away"))
	await("the directory is gone", card.EventRemoved)
	cancel()
	must(<-done)
}

// FuzzHeed reads events that the kernel would not send: it neither panics nor hangs.
func FuzzHeed(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 'c', 'a', 'r', 'd', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &sentry{name: "card"}
		if concerned, on := s.heed(b); !on && !concerned {
			t.Error("it ends and nobody is told")
		}
	})
}
