//go:build cgo

package pcsc_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ebfe/scard"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/pcsc"
	"github.com/reprovision/reprovision/pkg/card/pcsctest"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

// both are the two readers of the service, each with an unformatted card, and
// settings for whichever holds the right one.
func both(t *testing.T) (first, second *rig, config func(func(card.Event)) pcsc.Config) {
	t.Helper()
	first, second = newRig(t, virtual.Options{}), newRig(t, virtual.Options{PIV: &virtual.PIV{}})
	if first.reader > second.reader {
		first, second = second, first
	}
	return first, second, func(notify func(card.Event)) pcsc.Config {
		c := first.config(notify)
		c.Match = pcsctest.ReaderName
		return c
	}
}

// TestRightCard finds the card with our store beside another card, whichever
// reader it is in and whichever was put in first.
func TestRightCard(t *testing.T) {
	first, second, config := both(t)
	if err := errors.Join(withCard(t, pcsc.New(second.config(nil)), format), withCard(t, pcsc.New(second.config(nil)), commit(1, "ours"))); err != nil {
		t.Fatal(err)
	}
	loads(t, pcsc.New(config(nil)), "ours")
	second.pull()
	events := watch(t, config, nil)
	if e := await(t, events, card.EventInserted); e.Reader != first.name() {
		t.Fatalf("got %+v, want the card in %q", e, first.name())
	}
	second.insert()
	ours := await(t, events, card.EventInserted)
	if ours.Reader == first.name() && strings.HasPrefix(ours.Beside, second.name()+" #") { // there it is, not read yet
		ours = await(t, events, card.EventInserted)
	}
	if ours.Reader != second.name() || ours.Identity == "" || !strings.HasPrefix(ours.Beside, first.name()+" #") {
		t.Fatalf("got %+v, want the card in %q", ours, second.name())
	}
	first.pull()
	first.insert() // another card, which does not concern us
	second.pull()
	if e := await(t, events, card.EventRemoved); e.Reader != second.name() && e.Reader != first.name() {
		t.Fatalf("got %+v", e)
	}
	second.insert()
	for e := await(t, events, card.EventInserted); e.Identity != ours.Identity; {
		e = await(t, events, card.EventInserted)
	}
}

// TestRightCardUnformatted takes the first card that could hold a store where none
// does, and says why not where none could.
func TestRightCardUnformatted(t *testing.T) {
	first, second, config := both(t)
	reader := pcsc.New(config(nil))
	if err := withCard(t, reader, format); err != nil {
		t.Fatal(err)
	}
	loadable := func(r *rig) bool {
		return errors.Is(withCard(t, pcsc.New(r.config(nil)), commit(1, "x")), nil)
	}
	if loadable(first) == loadable(second) {
		t.Fatal("both cards or none were formatted")
	}
	none := config(nil)
	none.Profiles = []card.Profile{func(context.Context, card.Channel) (card.Medium, error) { return nil, card.ErrUnsupported }}
	want(t, withCard(t, pcsc.New(none), format), card.ErrUnsupported)
}

// TestHeldElsewhere uses our card while another program has the other card to
// itself.
func TestHeldElsewhere(t *testing.T) {
	first, second, config := both(t)
	if err := withCard(t, pcsc.New(second.config(nil)), format); err != nil {
		t.Fatal(err)
	}
	holder := other(t, first.name(), scard.ShareExclusive)
	if err := withCard(t, pcsc.New(config(nil)), commit(1, "ours")); err != nil {
		t.Fatal(err)
	}
	if err := holder.Disconnect(scard.LeaveCard); err != nil {
		t.Fatal(err)
	}
	loads(t, pcsc.New(config(nil)), "ours")
}

// TestServiceNotThereYet starts to watch before there is a service.
func TestServiceNotThereYet(t *testing.T) {
	r := newRig(t, virtual.Options{})
	service.daemon.Stop()
	<-r.plug.Done()
	events := watch(t, r.config, nil)
	if e := await(t, events, card.EventUnavailable); !errors.Is(e.Err, card.ErrNoService) {
		t.Fatalf("got %+v", e)
	}
	if err := service.daemon.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.insert()
	await(t, events, card.EventInserted)
}

// TestUnplugged takes the readers away and brings them back.
func TestUnplugged(t *testing.T) {
	r := newRig(t, virtual.Options{})
	var reader *pcsc.Reader
	events := watch(t, r.config, func(x *pcsc.Reader) { reader = x })
	await(t, events, card.EventInserted)
	service.daemon.Stop()
	<-r.plug.Done()
	if err := service.daemon.Unplug(t.Context()); err != nil {
		t.Fatal(err)
	}
	for e := await(t, events, card.EventUnavailable); !errors.Is(e.Err, card.ErrNoReader); {
		e = await(t, events, card.EventUnavailable)
	}
	want(t, withCard(t, reader, format), card.ErrNoReader)
	service.daemon.Stop()
	if err := service.daemon.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.insert()
	await(t, events, card.EventInserted)
	if err := withCard(t, reader, format); err != nil {
		t.Fatal(err)
	}
}

// TestNoticedNextLook counts the looks of the watcher from when the service knows of an
// insertion or removal until it is told: one, or a second if the first was over already. A
// look lasts no longer than the service takes to see a change, so that both are known within
// a second, which is not measured here.
func TestNoticedNextLook(t *testing.T) {
	r := newRig(t, virtual.Options{})
	reader := pcsc.New(r.config(nil))
	var looks atomic.Int64
	told := pcsc.CountLooks(t, reader, &looks)
	present := func(want bool) {
		t.Helper()
		before := looks.Load()
		for timeout := time.After(patience); ; {
			select {
			case is := <-told:
				if is != want {
					continue
				}
				if n := looks.Load() - before; n > 2 {
					t.Errorf("a change was told after %d looks", n)
				}
				return
			case <-timeout:
				t.Fatal("a change was not told")
			}
		}
	}
	present(true)
	for range 5 {
		r.pull()
		present(false)
		r.insert()
		present(true)
	}
	if pcsc.LookTime > 400*time.Millisecond {
		t.Errorf("a look lasts %v", pcsc.LookTime)
	}
}

// TestNoticed tells how long it takes until insertion and removal are known. That
// is bounded by what the service takes, 400 ms, and the watcher's look.
func TestNoticed(t *testing.T) {
	r := newRig(t, virtual.Options{})
	events := watch(t, r.config, nil)
	await(t, events, card.EventInserted)
	var inserted, removed time.Duration
	const rounds = 5
	for range rounds {
		began := time.Now()
		r.plug.Pull()
		await(t, events, card.EventRemoved)
		removed = max(removed, time.Since(began))
		r.plug = nil
		began = time.Now()
		r.insert()
		await(t, events, card.EventInserted)
		inserted = max(inserted, time.Since(began))
	}
	t.Logf("of %d: insertion was known after %v at most, removal after %v", rounds, inserted.Round(time.Millisecond), removed.Round(time.Millisecond))
}
