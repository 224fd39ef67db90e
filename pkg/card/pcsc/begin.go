//go:build cgo

package pcsc

import (
	"context"
	"errors"
	"slices"

	"github.com/reprovision/reprovision/pkg/card"
)

// attempts is how often a session is begun while the card gets lost before its
// profile is known: a reset by another program that began before the session may
// still be under way, and nothing was done yet.
const attempts = 4

// begin opens a session and the card in it: the card in the reader of that name; where
// none is named, the first card that holds a store of ours, else the first that could
// hold one. turn is held until PC/SC has nothing of
// any session any more.
func (r *Reader) begin(ctx context.Context, turn *hold, reader string) (*session, card.Medium, error) {
	f := &search{Reader: r, turn: turn, spare: reader, over: reader != ""}
	for attempt := 1; ; {
		s, m, err := f.look(ctx)
		switch {
		case err == nil && s == nil: // not the right one: the next
		case err == nil:
			if reader == "" {
				r.setLast(s.reader)
			}
			return s, m, nil
		case attempt == attempts || !errors.Is(err, card.ErrRemoved) || ctx.Err() != nil:
			return nil, nil, err
		default:
			if attempt++; !sleep(ctx, firstBackoff<<attempt) {
				return nil, nil, err
			}
		}
	}
}

// search is what is known of the cards that are in.
type search struct {
	*Reader
	turn   *hold
	tried  []string // readers with cards that hold no store
	spare  string   // of them, the first whose card could hold one
	reason error    // why the first of the others could not
	over   bool     // there is none with a store, or only one reader is asked for: spare
}

// look opens the card in the next reader. It gives no session if that is not the
// right one, or if none is left.
func (f *search) look(ctx context.Context) (*session, card.Medium, error) {
	f.turn.add()
	s, err := f.openSession(ctx, f.next, f.turn.done)
	if err != nil {
		return nil, nil, f.end(err)
	}
	m, err := f.open(ctx, s)
	if err == nil && (f.over || !s.more && len(f.tried) == 0 || formatted(ctx, m)) {
		return s, m, nil
	}
	f.endSession(s, f.turn.done)
	switch {
	case err != nil && f.over:
		return nil, nil, err
	case err == nil && f.spare == "":
		f.spare = s.reader
	case errors.Is(err, card.ErrUnsupported) && f.reason == nil:
		f.reason = err
	case err != nil && !errors.Is(err, card.ErrUnsupported):
		return nil, nil, err
	}
	f.tried = append(f.tried, s.reader)
	return nil, nil, nil
}

// end tells what it means that there is no further card.
func (f *search) end(err error) error {
	if f.over || len(f.tried) == 0 || !errors.Is(err, card.ErrNoCard) && !errors.Is(err, card.ErrNoReader) {
		return err
	}
	if f.spare == "" {
		return f.reason
	}
	f.over = true
	return nil
}

// next lists the readers to try.
func (f *search) next(names []string) []string {
	return slices.DeleteFunc(f.order(names), func(name string) bool {
		if f.over {
			return name != f.spare
		}
		return slices.Contains(f.tried, name)
	})
}

func formatted(ctx context.Context, m card.Medium) bool {
	layout, err := m.Layout(ctx)
	return err == nil && layout.Formatted
}
