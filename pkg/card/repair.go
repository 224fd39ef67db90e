package card

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Repair stores data on a card that Load calls damaged: no version on it is whole.
// What it writes has a generation above floor and above every one that the card
// holds, which it gives. The bytes go, as far as there is room, to where none of the
// damaged versions has any, and all are read back: what does not read back is worn,
// and is not used in the next try. What the damaged versions leave is void, as with Renew. A card that is cut off meanwhile is still damaged,
// or repaired. A card with a whole version gives ErrWhole and stays as it is.
func (s *Store) Repair(ctx context.Context, floor uint64, data []byte) (generation uint64, err error) {
	if s.kept != nil {
		return s.kept.Repair(ctx, floor, data)
	}
	if generation, err = s.repair(ctx, floor, data); err != nil {
		return 0, fmt.Errorf("cannot repair card: %w", err)
	}
	return generation, nil
}

func (s *Store) repair(ctx context.Context, floor uint64, data []byte) (uint64, error) {
	found, err := s.layout(ctx)
	if err != nil {
		return 0, err
	}
	g := slotGeometry(found.SlotSize)
	if len(data) > g.capacity() {
		return 0, &FullError{Need: len(data), Have: g.capacity()}
	}
	slots, err := s.headers(ctx, g)
	if err != nil {
		return 0, err
	}
	newest, err := s.newestWhole(ctx, g, &slots)
	if err != nil {
		return 0, err
	}
	if newest >= 0 {
		return 0, ErrWhole
	}
	spoken, err := s.spokenOf(ctx, g, &slots)
	if err != nil {
		return 0, err
	}
	return s.rebuild(ctx, g, &slots, spoken, max(floor, slots.generation()), data)
}

// spokenOf is where the damaged versions lie: somewhere there is the damage.
func (s *Store) spokenOf(ctx context.Context, g geometry, slots *slotPair) ([]extent, error) {
	var all []extent
	for i, info := range slots {
		if !info.parsed {
			continue
		}
		extents, err := s.table(ctx, g, i, info.header)
		if err != nil {
			return nil, err
		}
		all = append(all, extents...)
	}
	return all, nil
}

// rebuild writes a version until it reads back: away from what is worn, and, where the
// header or the table is, in the other slot.
func (s *Store) rebuild(ctx context.Context, g geometry, slots *slotPair, spoken []extent, generation uint64, data []byte) (uint64, error) {
	var worn []extent
	target := slots.target(-1)
	for range maxRounds {
		l, ok := anew(g, data, slices.Concat(spoken, worn), worn)
		if !ok {
			return 0, fmt.Errorf("%w: too much of it does not hold what is written", ErrDamaged)
		}
		generation++
		err := s.write(ctx, target, newHeader(version{generation, data, true}, len(l.extents)), l)
		if err != nil && !errors.Is(err, ErrDamaged) {
			return 0, err
		}
		bad, err := s.wornOf(ctx, l)
		if err != nil {
			return 0, err
		}
		if whole, err := s.holds(ctx, g, target, generation); err != nil || whole {
			return generation, err
		}
		if worn = append(worn, bad...); len(bad) == 0 {
			target = 1 - target
		}
	}
	return 0, fmt.Errorf("%w: what is written does not read back", ErrDamaged)
}

// anew lays data out where nothing of avoid is, or, where that leaves too little room,
// where nothing of never is.
func anew(g geometry, data []byte, avoid, never []extent) (layout, bool) {
	for _, taken := range [][]extent{avoid, never} {
		holes, room := g.holes(taken), 0
		for _, h := range holes {
			room += h.n
		}
		if room < len(data) {
			continue
		}
		if l := sharing(g, nil, data).place(holes); len(l.extents) <= g.entries {
			return l, true
		}
	}
	return layout{}, false
}

// wornOf reads back what was written, and gives where it is not that.
func (s *Store) wornOf(ctx context.Context, l layout) ([]extent, error) {
	var bad []extent
	for _, p := range l.patches {
		back := make([]byte, p.n)
		if err := s.slots.ReadAt(ctx, p.slot, p.off, back); err != nil {
			return nil, fmt.Errorf("cannot read back: %w", err)
		}
		for off := 0; off < p.n; off += wornSize {
			n := min(wornSize, p.n-off)
			if !slices.Equal(back[off:off+n], p.data[off:off+n]) {
				bad = append(bad, extent{p.slot, p.off + off, n})
			}
		}
	}
	return bad, nil
}

// wornSize is how much memory counts as worn around a byte that is, about a page.
const wornSize = 64

// holds tells whether a slot has a whole version of a generation.
func (s *Store) holds(ctx context.Context, g geometry, slot int, generation uint64) (bool, error) {
	slots, err := s.headers(ctx, g)
	if err != nil || !slots[slot].parsed || slots[slot].header.generation != generation {
		return false, err
	}
	err = s.check(ctx, g, slot, &slots[slot])
	return slots[slot].state == SlotWhole, err
}
