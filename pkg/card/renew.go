package card

import (
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"slices"
)

// Renew is as Commit, for data after which whatever else is on the card is void and
// must not stay: key slots that were replaced, or data that were deleted. The card
// itself notes that, by the same write that makes the version the newest one, and has
// either version whole whenever it is pulled. Overwrite then does what is left to do, at
// this reader or at another one: Object.Traces tells that there is some. A commit in
// between keeps the note.
func (s *Store) Renew(ctx context.Context, generation uint64, data []byte) error {
	if s.kept != nil {
		return s.kept.Renew(ctx, generation, data)
	}
	if err := s.commit(ctx, generation, data, true); err != nil {
		return fmt.Errorf("cannot renew card: %w", err)
	}
	return nil
}

// Overwriting is how far Overwrite is with a card. The zero value is its beginning.
type Overwriting struct {
	Done, Total int // bytes
	Finished    bool
	Generation  uint64 // Finished: of the newest version, which may have got another number

	// Mark is for Overwrite itself: what the card's headers were when it began. On a card
	// with others it begins anew.
	Mark string

	slot    int      // of the version that stays
	extents []extent // where that lies, as it was found whole
}

// Overwrite puts random bytes in the place of all that is on the card beside its newest
// whole version: the version before, and what earlier ones have left. It writes at most
// limit bytes, or a little more, and is called again with what it gave until it is
// finished: in transactions of their own, so that others get at the card in between. Then
// both slots stand for the newest version, and the note of Renew is taken back. It gives
// ErrBlank or ErrDamaged where no version is whole. Cut short, it is begun anew.
func (s *Store) Overwrite(ctx context.Context, from Overwriting, limit int) (Overwriting, error) {
	if s.kept != nil {
		return s.kept.Overwrite(ctx, from, limit)
	}
	o, err := s.overwrite(ctx, from, limit)
	if err != nil {
		return o, fmt.Errorf("cannot overwrite what is void on the card: %w", err)
	}
	return o, nil
}

func (s *Store) overwrite(ctx context.Context, o Overwriting, limit int) (Overwriting, error) {
	found, err := s.layout(ctx)
	if err != nil {
		return o, err
	}
	g := slotGeometry(found.SlotSize)
	slots, err := s.headers(ctx, g)
	if err != nil {
		return o, err
	}
	if mark := slots.mark(); o.Mark != mark {
		o = Overwriting{Mark: mark}
		if o.slot, o.extents, err = s.keep(ctx, g, &slots); err != nil {
			return Overwriting{}, err
		}
	}
	voids := g.voids(o.extents, slots[o.slot].header.count)
	o.Total = sizeOf(voids)
	n := min(max(limit, 1), o.Total-o.Done)
	if err := s.randomize(ctx, part(voids, o.Done, n)); err != nil {
		return o, err
	}
	if o.Done += n; o.Done < o.Total {
		return o, nil
	}
	return s.endOverwriting(ctx, o, &slots)
}

// mark is what tells one pair of headers from another.
func (p *slotPair) mark() string {
	var mark []byte
	for _, slot := range p {
		if slot.parsed {
			mark = append(mark, slot.header.encode()...)
		}
		mark = append(mark, '|')
	}
	return string(mark)
}

// keep finds the version that is to stay, and where it lies.
func (s *Store) keep(ctx context.Context, g geometry, slots *slotPair) (slot int, extents []extent, err error) {
	newest, err := s.newestWhole(ctx, g, slots)
	switch {
	case err != nil:
		return 0, nil, err
	case newest < 0:
		return 0, nil, slots.nothing()
	case slots[newest].header.version == headerLinear: // it lies where the other slot's table will
		return 0, nil, fmt.Errorf("%w: the version on it is of an earlier format", ErrUnsupported)
	}
	return newest, slots[newest].extents, nil
}

// voids gives what a version leaves of the whole card, but for the front of the other
// slot: that is written last, when the version gets its second header there.
func (g geometry) voids(extents []extent, count int) []extent {
	taken := slices.Clone(extents)
	for i := range Slots {
		taken = append(taken, extent{i, 0, HeaderSize + count*entrySize})
	}
	return g.gaps(taken, 0)
}

// endOverwriting has both slots stand for the version. A number that was given to one that
// is damaged is not given again.
func (s *Store) endOverwriting(ctx context.Context, o Overwriting, slots *slotPair) (Overwriting, error) {
	h := slots[o.slot].header
	if highest := slots.generation(); highest > h.generation {
		if highest == math.MaxUint64 {
			return o, fmt.Errorf("%w: there is none above %d", ErrGeneration, highest)
		}
		h.generation = highest + 1
	}
	h.traces = false
	if err := s.write(ctx, 1-o.slot, h, layout{extents: o.extents}); err != nil {
		return o, err
	}
	o.Finished, o.Generation = true, h.generation
	return o, nil
}

// randomize writes random bytes: they have nothing in common with what was there.
func (s *Store) randomize(ctx context.Context, extents []extent) error {
	for _, e := range extents {
		noise := make([]byte, e.n)
		rand.Read(noise) // never fails
		if err := s.slots.WriteAt(ctx, e.slot, e.off, noise); err != nil {
			return fmt.Errorf("cannot write slot %d: %w", e.slot, err)
		}
	}
	return nil
}
