package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/pcsc"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

// bench is the card, the reader, and what PC/SC clients see of them.
type bench struct {
	address string
	card    *virtual.Card
	reader  *pcsc.Reader

	turn chan struct{} // holds a token while the card is handled
	plug *virtual.Plug // nil while the card is out; belongs to who has the turn
	lost sync.Once
	gone chan struct{} // closed when the reader goes away with the card in it

	mu      sync.Mutex
	present bool
	changed chan struct{} // closed and made anew when present changes
}

// newBench takes the first of the readers with that name, which listens on address.
func newBench(address, name string, c *virtual.Card) *bench {
	b := &bench{address: address, card: c, turn: make(chan struct{}, 1), gone: make(chan struct{}), changed: make(chan struct{})}
	b.reader = pcsc.New(pcsc.Config{Match: name, Notify: b.notice}) // reads no cards
	return b
}

// watch follows the reader as any PC/SC client does.
func (b *bench) watch(ctx context.Context) error { return b.reader.Run(ctx) }

func (b *bench) notice(e card.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.present = e.Kind == card.EventInserted
	close(b.changed)
	b.changed = make(chan struct{})
}

// await waits until PC/SC clients see the card, or see none.
func (b *bench) await(ctx context.Context, present bool) error {
	for {
		b.mu.Lock()
		now, changed := b.present, b.changed
		b.mu.Unlock()
		if now == present {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("PC/SC does not see the change: %w", ctx.Err())
		}
	}
}

// take waits for the turn to handle the card.
func (b *bench) take(ctx context.Context) error {
	select {
	case b.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// insertFirst is the first insert. A pcscd that was started by our being its
// client may not listen for cards yet.
func (b *bench) insertFirst(ctx context.Context) error {
	for {
		err := b.insert(ctx)
		if !errors.Is(err, unix.ECONNREFUSED) {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// insert puts the card in, if it is out.
func (b *bench) insert(ctx context.Context) error {
	if err := b.take(ctx); err != nil {
		return err
	}
	defer func() { <-b.turn }()
	if !b.in() {
		plug, err := b.card.Insert(ctx, b.address)
		if err != nil {
			return err
		}
		b.plug = plug
		go b.guard(plug)
	}
	return b.await(ctx, true)
}

// guard waits until the card is out, and tells if nobody has pulled it.
func (b *bench) guard(plug *virtual.Plug) {
	<-plug.Done()
	b.turn <- struct{}{}
	defer func() { <-b.turn }()
	if b.plug == plug {
		b.lost.Do(func() { close(b.gone) })
	}
}

// pull takes the card out, if it is in.
func (b *bench) pull(ctx context.Context) error {
	if err := b.take(ctx); err != nil {
		return err
	}
	defer func() { <-b.turn }()
	if err := b.eject(); err != nil {
		return err
	}
	return b.await(ctx, false)
}

// pullNow takes the card out at the end, without looking at PC/SC.
func (b *bench) pullNow() {
	b.turn <- struct{}{}
	defer func() { <-b.turn }()
	_ = b.eject()
}

// eject needs the turn.
func (b *bench) eject() error {
	if b.plug == nil {
		return nil
	}
	b.plug.Pull()
	err := b.plug.Err()
	b.plug = nil
	return err
}

// in needs the turn. A card also gets out when the reader goes away.
func (b *bench) in() bool {
	if b.plug == nil {
		return false
	}
	select {
	case <-b.plug.Done():
		return false
	default:
		return true
	}
}

// status tells whether the card is in.
func (b *bench) status(ctx context.Context) (bool, error) {
	if err := b.take(ctx); err != nil {
		return false, err
	}
	defer func() { <-b.turn }()
	return b.in(), nil
}

var errUnknown = errors.New("unknown command")

// command runs one line of the control socket.
func (b *bench) command(ctx context.Context, line string) (in bool, err error) {
	switch line {
	case "insert":
		return true, b.insert(ctx)
	case "pull":
		return false, b.pull(ctx)
	case "status":
		return b.status(ctx)
	}
	return false, errUnknown
}
