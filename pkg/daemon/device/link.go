package device

import (
	"context"
	"sync"
	"time"

	"github.com/reprovision/reprovision/pkg/session"
)

// onSession keeps a session company: it hears what the reader tells, and has
// the watchman look, for the reader may have what the device has lost.
func (d *Daemon) onSession(ctx context.Context, s *session.Session) {
	reader, err := d.keeper.reader()
	if err != nil {
		return // unpaired this very moment
	}
	d.guard.met(reader.ID, d.keeper.readerRun())
	var greeting sync.WaitGroup
	defer greeting.Wait()
	greeting.Go(func() {
		d.welcome(ctx, s, d.greet)
	})
	strange, due := make(chan struct{}, 1), make(chan struct{}, 1)
	kick(due)
	greeting.Go(func() { greets(ctx, strange, d.greet) })
	greeting.Go(func() { d.attests(ctx, s, due) })
	err = s.Events(ctx, func(e session.Event) error {
		d.hear(e, reader.ID)
		if e.Kind == session.EventCard && e.Card.Status == session.CardOtherVault {
			kick(strange)
		}
		if e.Kind == session.EventCard {
			kick(due) // one that is due already asks for the card as it is then
		}
		return nil
	})
	if ctx.Err() == nil {
		d.log.Debug("the reader's events have ended", "error", err)
	}
}

// greetPause is the least time between two comparisons of notes for the sake of a card: a
// reader may tell of cards as often as it likes.
const greetPause = 10 * time.Second

// greets has the notes compared whenever there is a card with another vault, which may be
// this owner's, from another reader; until the context ends.
func greets(ctx context.Context, strange <-chan struct{}, greet func(context.Context) error) {
	for {
		select {
		case <-strange:
		case <-ctx.Done():
			return
		}
		_ = greet(ctx) // it says so itself
		if sleep(ctx, greetPause) != nil {
			return
		}
	}
}

// greetFirst and greetLast bound the wait, which doubles, before notes are compared anew
// that could not be.
const (
	greetFirst = 5 * time.Second
	greetLast  = time.Hour
)

// welcome has the notes compared, and then lets what is due be done by itself. A device
// that knows of no data that it saved must have heard first what the reader has: it may
// be a replacement, whose owner is to be offered the data of the earlier one, and a
// backup would make it a new start.
func (d *Daemon) welcome(ctx context.Context, s *session.Session, greet func(context.Context) error) {
	err := greet(ctx)
	d.request(look{why: "session", critical: true})
	for wait := greetFirst; err != nil && d.book.current() == nil; wait = min(2*wait, greetLast) {
		if sleep(ctx, wait) != nil {
			return // the session has ended
		}
		err = greet(ctx)
	}
	d.auto.meet(s)
	d.maybeDrill()
}

func (d *Daemon) hear(e session.Event, reader string) {
	switch e.Kind {
	case session.EventCard:
		if e.Card.Status != d.keeper.card().Status {
			d.familiar.forget() // another card may have brought other slots
		}
		d.keeper.setCard(e.Card)
		d.event("card", map[string]any{"state": e.Card.Status.String(), "detail": e.Card.Detail})
		d.bus.Refresh()
	case session.EventNotice:
		d.log.Info("the reader says", "text", e.Text)
		d.event("notice", map[string]any{"text": e.Text})
	case session.EventDamage:
		d.hearDamage(e.Blobs)
	case session.EventUnpaired:
		if err := d.unpaired(reader); err != nil {
			d.log.Error("cannot forget the reader that forgot this device", "error", err)
		}
	}
}

// urgent tells whether the reader is needed soon: by a restore that is under way or due,
// or by the guard.
func (d *Daemon) urgent() bool {
	return d.findings.pressing(d.now()) || d.hands.full() || d.guard.wanting()
}

// onLink tells of a change of range.
func (d *Daemon) onLink(inRange bool, why error) {
	fields := map[string]any{"in_range": inRange}
	if why != nil {
		fields["reason"] = why.Error()
	}
	d.event("link", fields)
	d.log.Info("range of the reader changed", "in_range", inRange, "reason", why)
	d.bus.Refresh()
}
