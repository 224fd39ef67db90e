//go:build cgo

package pcsc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/reprovision/reprovision/pkg/card"
)

// Times of the identification of a card that was put in.
const (
	identifyTimeout = 10 * time.Second // to read it, the wait for other programs included
	identifyRetry   = time.Second      // before another attempt, doubled each time
	identifyLast    = 30 * time.Second // the longest such wait
)

// Run implements card.Reader. It keeps trying while the service is not there, and
// keeps trying to read a card that is held by another program.
func (r *Reader) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	sights, read := make(chan sight), make(chan identified)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() {
		(&watcher{pick: r.pick, counts: r.counts, limit: r.config.ServiceTimeout, out: sights}).run(ctx)
	})
	p := presence{reader: r, stop: func() {}}
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-sights:
			p.see(now)
			if now.present {
				p.start(ctx, &group, read)
			}
		case id := <-read:
			p.identify(id)
		case id := <-r.seen:
			p.meet(id)
		}
	}
}

// identified is the outcome of reading the card of a sight.
type identified struct {
	sight    sight
	reader   string // that has the right card; "" if that is not known
	identity string
	err      error
}

// presence is what Run knows and has announced. It is used by Run's goroutine
// only.
type presence struct {
	reader *Reader
	sight  sight
	last   card.Event
	stop   func() // ends the identification under way
}

// see takes up a new sight. A card that is there is announced once it was read.
func (p *presence) see(now sight) {
	p.stop()
	exchanged := p.sight.present && now.present && (p.sight.reader != now.reader || p.sight.counter != now.counter)
	gone := card.Event{Kind: card.EventRemoved, Reader: now.reader}
	if exchanged { // not without a card by now, but the one that was there is out
		gone.Reader, gone.Beside = p.sight.reader, now.lines()
	}
	stays := exchanged && now.beside(p.sight)
	neighbours := now.present && !exchanged && p.sight.others != now.others
	p.sight = now
	switch {
	case now.err != nil:
		p.announce(card.Event{Kind: card.EventUnavailable, Err: now.err})
	case !now.present || exchanged && !stays && p.last.Kind == card.EventInserted:
		p.announce(gone)
	case neighbours && p.last.Kind == card.EventInserted:
		e := p.last
		e.Beside = now.others
		p.announce(e)
	}
}

// start reads the card in the background, over and over until that succeeds.
func (p *presence) start(ctx context.Context, group *sync.WaitGroup, out chan<- identified) {
	ctx, p.stop = context.WithCancel(ctx)
	r, now := p.reader, p.sight
	group.Go(func() {
		for wait := identifyRetry; ; wait = min(2*wait, identifyLast) {
			identity, err := r.identity(ctx)
			select {
			case out <- identified{now, r.found(err), identity, err}:
			case <-ctx.Done():
				return
			}
			if err == nil || errors.Is(err, card.ErrUnsupported) || !sleep(ctx, wait) {
				return
			}
		}
	})
}

// found is the reader with the card that was read without an error.
func (r *Reader) found(err error) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		return ""
	}
	return r.last
}

// identity reads the identity of the card that is in.
func (r *Reader) identity(ctx context.Context) (identity string, err error) {
	ctx, cancel := context.WithTimeout(ctx, identifyTimeout)
	defer cancel()
	err = r.WithCard(ctx, func(_ context.Context, m card.Medium) error {
		identity = m.Identity()
		return nil
	})
	return identity, err
}

// identify takes up what was read from a card that is still in.
func (p *presence) identify(id identified) {
	if id.sight != p.sight || id.reader != "" && id.reader != p.sight.reader || errors.Is(id.err, card.ErrNoCard) || errors.Is(id.err, card.ErrNoService) {
		return // the watcher knows better, or soon will
	}
	p.announce(card.Event{Kind: card.EventInserted, Reader: p.sight.reader, Identity: id.identity, Beside: p.sight.others, Err: id.err})
}

// meet takes up what a transaction learned: a card that was formatted, exchanged
// too fast to be seen, or read before its identification was through.
func (p *presence) meet(s seen) {
	if !p.sight.present || s.reader != p.sight.reader {
		return
	}
	p.announce(card.Event{Kind: card.EventInserted, Reader: s.reader, Identity: s.identity, Beside: p.sight.others})
}

// announce tells an event that says something new.
func (p *presence) announce(e card.Event) {
	if e.Kind == p.last.Kind && e.Reader == p.last.Reader && e.Identity == p.last.Identity && e.Beside == p.last.Beside &&
		fmt.Sprint(e.Err) == fmt.Sprint(p.last.Err) {
		return
	}
	p.last = e
	p.reader.config.Log.Debug("card reader", "event", e.Kind.String(), "reader", e.Reader, "error", e.Err)
	p.reader.config.Notify(e)
}
