package reader

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/session"
)

// rival has a card that other programs get in the way of: it is held for as long
// as hold is open, and refused as often as refusals says.
type rival struct {
	card.Reader
	hold     chan struct{}
	refusals atomic.Int32
	reason   error
}

func (r *rival) WithCard(ctx context.Context, fn func(context.Context, card.Medium) error) error {
	select {
	case <-r.hold:
	case <-ctx.Done():
		return ctx.Err()
	}
	if r.refusals.Add(-1) >= 0 {
		return fmt.Errorf("cannot use card: %w", r.reason)
	}
	return r.Reader.WithCard(ctx, fn)
}

// await waits until the card's state is as wanted.
func (r *rig) await(status session.CardStatus, detail string) {
	r.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		s, _ := r.d.mirror.look()
		if s.Status == status && strings.Contains(s.Detail, detail) {
			return
		}
		if time.Now().After(deadline) {
			r.Fatalf("the card is %+v", s)
		}
	}
}

// TestHeldCard puts in a card that another program holds, resets or lets time out.
// That is reported, and the card used when it is free.
func TestHeldCard(t *testing.T) {
	for _, reason := range []error{card.ErrBusy, card.ErrRemoved, card.ErrTimeout} {
		t.Run(reason.Error(), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.create(r.pair("phone"), 1)
			r.initCard()
			held := &rival{Reader: r.d.mirror.reader, hold: make(chan struct{}), reason: reason}
			held.refusals.Store(1)
			r.d.mirror.reader = held
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- r.d.mirror.run(ctx) }()
			defer func() {
				cancel()
				r.must(<-ended)
			}()
			r.d.mirror.notice(card.Event{Kind: card.EventInserted})
			r.await(session.CardError, "another program holds the card")
			close(held.hold)
			r.await(session.CardOK, "")
			if left := held.refusals.Load(); left >= 0 {
				t.Errorf("%d refusals are left", left)
			}
		})
	}
}

// TestHeldForAVisit has a heartbeat or a PIN wait for a card that another program holds: when
// it is free, everything is known of it that was known before.
func TestHeldForAVisit(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create(r.pair("phone"), 1)
	r.initCard()
	before, facts := r.d.mirror.look()
	busy := &rival{Reader: r.d.mirror.reader, hold: make(chan struct{}), reason: card.ErrBusy}
	r.d.mirror.reader = busy
	visited := make(chan error, 1)
	go func() {
		visited <- r.d.mirror.visit(t.Context(), func(context.Context, card.Medium) error { return nil })
	}()
	r.await(session.CardError, "another program holds the card")
	close(busy.hold)
	r.must(<-visited)
	after, known := r.d.mirror.look()
	if after != before || known != facts {
		t.Errorf("the card was %+v %+v and is %+v %+v", before, facts, after, known)
	}
}

// TestHeldForABackup has a backup find the card held: whoever watches the card tries again.
func TestHeldForABackup(t *testing.T) {
	r := newRig(t)
	v := r.create(r.pair("phone"), 1)
	r.initCard()
	busy := &rival{Reader: r.d.mirror.reader, hold: make(chan struct{}), reason: card.ErrBusy}
	close(busy.hold)
	r.d.mirror.reader = busy
	for _, refusals := range []int32{0, 1} {
		busy.refusals.Store(refusals)
		select {
		case <-r.d.mirror.wake: // of before
		default:
		}
		r.d.mirror.update(t.Context(), v)
		if woken := len(r.d.mirror.wake) == 1; woken != (refusals > 0) {
			t.Errorf("after %d refusals somebody tries again: %v", refusals, woken)
		}
	}
}
