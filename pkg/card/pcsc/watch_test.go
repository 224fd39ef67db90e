//go:build cgo

package pcsc_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ebfe/scard"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/pcsc"
	"github.com/reprovision/reprovision/pkg/card/pcsctest"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

// TestChoice checks which reader is used and when none is.
func TestChoice(t *testing.T) {
	r := newRig(t, virtual.Options{})
	none, empty, unknown, all := r.config(nil), r.config(nil), r.config(nil), r.config(nil)
	none.Match = "no such reader"
	empty.Match = service.daemon.Reader(1 - r.reader)
	unknown.Profiles = nil
	all.Match = pcsctest.ReaderName
	settle(t, empty.Match, scard.StateEmpty) // of the card of the test before
	want(t, withCard(t, pcsc.New(none), format), card.ErrNoReader)
	want(t, withCard(t, pcsc.New(empty), format), card.ErrNoCard)
	want(t, withCard(t, pcsc.New(unknown), format), card.ErrUnsupported)
	if err := withCard(t, pcsc.New(all), format); err != nil {
		t.Fatal(err)
	}
	events := watch(t, func(notify func(card.Event)) pcsc.Config {
		all.Notify = notify
		return all
	}, nil)
	if e := await(t, events, card.EventInserted); e.Reader != r.name() || e.Identity == "" {
		t.Fatalf("got %+v, want the card in %q", e, r.name())
	}
}

// watch runs a reader for the length of the test and gives its events.
func watch(t *testing.T, config func(func(card.Event)) pcsc.Config, use func(*pcsc.Reader)) <-chan card.Event {
	t.Helper()
	events, done := make(chan card.Event, 100), make(chan error, 1)
	reader := pcsc.New(config(func(e card.Event) { events <- e }))
	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- reader.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	if use != nil {
		use(reader)
	}
	return events
}

func await(t *testing.T, events <-chan card.Event, kind card.EventKind) card.Event {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e := <-events:
			if e.Kind == kind {
				return e
			}
		case <-timeout:
			t.Fatalf("no event %q", kind)
		}
	}
}

// TestServiceRestarted checks that a service that goes away is reported and
// taken up again by a running reader.
func TestServiceRestarted(t *testing.T) {
	r := newRig(t, virtual.Options{})
	var reader *pcsc.Reader
	events := watch(t, r.config, func(x *pcsc.Reader) { reader = x })
	await(t, events, card.EventInserted)
	d := service.daemon
	d.Stop()
	if e := await(t, events, card.EventUnavailable); !errors.Is(e.Err, card.ErrNoService) {
		t.Fatalf("got %+v", e)
	}
	want(t, withCard(t, reader, format), card.ErrNoService)
	<-r.plug.Done()
	if err := d.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, events, card.EventRemoved)
	r.insert()
	await(t, events, card.EventInserted)
	if err := errors.Join(withCard(t, reader, format), withCard(t, reader, commit(1, "one"))); err != nil {
		t.Fatal(err)
	}
}

// TestHeldAtInsertion checks that a card which cannot be read yet is announced
// with the reason, and with its identity as soon as it can be read.
func TestHeldAtInsertion(t *testing.T) {
	r := newRig(t, virtual.Options{})
	r.card.SetHook(func(int, []byte) virtual.Action { return virtual.Mute })
	quick := func(notify func(card.Event)) pcsc.Config {
		c := r.config(notify)
		c.APDUTimeout = 100 * time.Millisecond
		return c
	}
	events := watch(t, quick, nil)
	if e := await(t, events, card.EventInserted); !errors.Is(e.Err, card.ErrTimeout) {
		t.Fatalf("got %+v", e)
	}
	r.card.SetHook(nil)
	r.pull()
	await(t, events, card.EventRemoved)
	r.insert()
	for await(t, events, card.EventInserted).Identity == "" {
		continue
	}
}
