//go:build cgo

package pcsc_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/pcsc"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

// workers is how many goroutines, and so threads, are in PC/SC or wait to be.
func workers() int {
	stacks := make([]byte, 1<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "pcsc.startWorker.func1()")
}

// hasty gives up on a service that hangs after a second.
func (r *rig) hasty(notify func(card.Event)) pcsc.Config {
	c := r.config(notify)
	c.ServiceTimeout = time.Second
	return c
}

func awaitUnavailable(t *testing.T, events <-chan card.Event, says string) {
	t.Helper()
	for e := await(t, events, card.EventUnavailable); !strings.Contains(e.Err.Error(), says); {
		e = await(t, events, card.EventUnavailable)
	}
}

// TestServiceHangs stops the service where it is, over and over, by its signal: one call is left
// behind by the watcher, one by transactions and one by lists of cards, however long it lasts.
func TestServiceHangs(t *testing.T) {
	r := newRig(t, virtual.Options{})
	if err := withCard(t, pcsc.New(r.config(nil)), format); err != nil {
		t.Fatal(err)
	}
	for name, killed := range map[string]bool{"resumed": false, "killed": true} {
		t.Run(name, func(t *testing.T) {
			before := workers()
			var reader *pcsc.Reader
			events := watch(t, r.hasty, func(x *pcsc.Reader) { reader = x })
			await(t, events, card.EventInserted)
			if err := service.daemon.Pause(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = service.daemon.Resume() }()
			awaitUnavailable(t, events, "does not answer")
			for range 3 { // longer than the watcher took before it began anew
				began := time.Now()
				if err := withCard(t, reader, format); !errors.Is(err, card.ErrNoService) {
					t.Errorf("a transaction gave %v", err)
				}
				if _, err := reader.Cards(t.Context()); !errors.Is(err, card.ErrNoService) {
					t.Errorf("a list gave %v", err)
				}
				time.Sleep(max(0, 1500*time.Millisecond-time.Since(began)))
				if n := workers() - before; n > 3 {
					t.Fatalf("%d calls wait for the service", n)
				}
			}
			if killed {
				service.daemon.Stop()
				<-r.plug.Done()
				if err := service.daemon.Restart(t.Context()); err != nil {
					t.Fatal(err)
				}
				r.insert()
			} else if err := service.daemon.Resume(); err != nil {
				t.Fatal(err)
			}
			for await(t, events, card.EventInserted).Identity == "" {
				continue
			}
			if err := withCard(t, reader, format); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestServiceHangsAtStart starts to watch when the service hangs already.
func TestServiceHangsAtStart(t *testing.T) {
	r := newRig(t, virtual.Options{})
	if err := service.daemon.Pause(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = service.daemon.Resume() }()
	events := watch(t, r.hasty, nil)
	awaitUnavailable(t, events, "does not answer")
	if err := service.daemon.Resume(); err != nil {
		t.Fatal(err)
	}
	await(t, events, card.EventInserted)
}

// TestEndsWhileServiceHangs ends Run at once, whatever the service does.
func TestEndsWhileServiceHangs(t *testing.T) {
	r := newRig(t, virtual.Options{})
	seen := make(chan card.Event, 100)
	reader := pcsc.New(r.hasty(func(e card.Event) { seen <- e }))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- reader.Run(ctx) }()
	await(t, seen, card.EventInserted)
	if err := service.daemon.Pause(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = service.daemon.Resume() }()
	awaitUnavailable(t, seen, "does not answer")
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("Run does not end")
	}
}
