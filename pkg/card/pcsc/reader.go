//go:build cgo

package pcsc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/reprovision/reprovision/pkg/card"
)

// Reader is a smart card reader behind PC/SC. It implements card.Reader.
type Reader struct {
	config Config
	turn   chan struct{} // holds a token while a transaction is under way
	lister chan struct{} // holds one while the cards are listed
	seen   chan seen     // what transactions learn of the card, for Run

	mu    sync.Mutex
	last  string        // the reader used last
	stuck chan struct{} // closed while the transaction under way has no answer of the service
}

// seen is the card that a transaction found.
type seen struct{ reader, identity string }

// New makes a reader. It does not speak to the service.
func New(config Config) *Reader {
	config = config.withDefaults()
	return &Reader{config: config, turn: make(chan struct{}, 1), lister: make(chan struct{}, 1), seen: make(chan seen, 1), stuck: make(chan struct{})}
}

// WithCard implements card.Reader. Beside the errors of fn it returns ErrNoCard,
// ErrNoReader, ErrNoService, ErrUnsupported, ErrRemoved, ErrBusy if another
// program held the card until ctx ended, and ErrTimeout if the card did not
// answer. It waits for whoever holds the card as long as ctx lets it.
func (r *Reader) WithCard(ctx context.Context, fn func(context.Context, card.Medium) error) error {
	return r.with(ctx, "", fn)
}

// WithCardIn implements card.Several. Its errors are those of WithCard.
func (r *Reader) WithCardIn(ctx context.Context, reader string, fn func(context.Context, card.Medium) error) error {
	return r.with(ctx, reader, fn)
}

// with lends the card in one reader, or, without its name, the first that holds a
// store of ours.
func (r *Reader) with(ctx context.Context, reader string, fn func(context.Context, card.Medium) error) error {
	if _, ok := ctx.Deadline(); !ok {
		bounded, cancel := context.WithTimeout(ctx, r.config.Timeout)
		defer cancel()
		ctx = bounded
	}
	if err := r.take(ctx); err != nil {
		return fmt.Errorf("cannot use card: %w", err)
	}
	// The turn ends with the sessions: one that is stuck keeps it.
	turn := &hold{left: 1, release: r.leave}
	defer turn.done()
	s, medium, err := r.begin(ctx, turn, reader)
	if err != nil {
		return fmt.Errorf("cannot use card: %w", err)
	}
	defer r.endSession(s, turn.done)
	defer func() {
		if s.failed == nil { // else the card may be another one by now
			r.tell(seen{s.reader, medium.Identity()})
		}
	}()
	return fn(ctx, medium)
}

// take waits for the turn, but not for a service that hangs.
func (r *Reader) take(ctx context.Context) error {
	r.mu.Lock()
	stuck := r.stuck
	r.mu.Unlock()
	select {
	case r.turn <- struct{}{}:
		return nil
	case <-stuck:
		return errStuck
	case <-ctx.Done():
		return waited(ctx, card.ErrBusy)
	}
}

// leave ends the turn.
func (r *Reader) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.stuck:
		r.stuck = make(chan struct{})
	default:
	}
	<-r.turn
}

// stick takes note that the service hangs, until the turn ends, in which the caller
// has a part.
func (r *Reader) stick() {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.stuck:
	default:
		close(r.stuck)
	}
}

// hold releases something when all who hold it are done.
type hold struct {
	mu      sync.Mutex
	left    int
	release func()
}

func (h *hold) add() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.left++
}

func (h *hold) done() {
	h.mu.Lock()
	h.left--
	last := h.left == 0
	h.mu.Unlock()
	if last {
		h.release()
	}
}

// open finds the profile that knows the card.
func (r *Reader) open(ctx context.Context, s *session) (card.Medium, error) {
	errs := []error{card.ErrUnsupported}
	for _, profile := range r.config.Profiles {
		medium, err := profile(ctx, s)
		if err == nil {
			return medium, nil
		}
		if !errors.Is(err, card.ErrUnsupported) {
			return nil, err
		}
		errs = append(errs, err)
	}
	return nil, errs[len(errs)-1]
}

// tell leaves for Run what a transaction learned, in place of what it has not
// looked at yet.
func (r *Reader) tell(s seen) {
	for {
		select {
		case r.seen <- s:
			return
		default:
		}
		select {
		case <-r.seen:
		default:
		}
	}
}

func (r *Reader) setLast(reader string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = reader
}

// counts tells whether a reader is one to use.
func (r *Reader) counts(name string) bool { return strings.Contains(name, r.config.Match) }

// order lists the readers to try.
func (r *Reader) order(names []string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return candidates(names, r.config.Match, r.last)
}

// pick chooses the reader to watch, and stays with it while it has a card.
func (r *Reader) pick(states []readerState) (readerState, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	chosen, err := choose(states, r.config.Match, r.last)
	if err == nil && chosen.present() {
		r.last = chosen.name
	}
	return chosen, err
}

var _ card.Several = (*Reader)(nil)
