package card

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
)

// maxRounds bounds how often a commit moves the version before closer together.
const maxRounds = 8

// Commit stores data as the version generation, which must be above every one
// that the card holds, else ErrGeneration. What the newest whole version has,
// wherever it is there, is not written again but shared; the other bytes go to
// where that version has none, then the header that is not its own is written
// and read back. Data that do not fit give a *FullError and change nothing.
// After any other error the version before is still the newest whole one.
func (s *Store) Commit(ctx context.Context, generation uint64, data []byte) error {
	if s.kept != nil {
		return s.kept.Commit(ctx, generation, data)
	}
	if err := s.commit(ctx, generation, data, false); err != nil {
		return fmt.Errorf("cannot commit to card: %w", err)
	}
	return nil
}

// commit tells by traces that whatever else is on the card is void from then on. What was
// void before stays so.
func (s *Store) commit(ctx context.Context, generation uint64, data []byte, traces bool) error {
	found, err := s.layout(ctx)
	if err != nil {
		return err
	}
	g := slotGeometry(found.SlotSize)
	if len(data) > g.capacity() {
		return &FullError{Need: len(data), Have: g.capacity()}
	}
	slots, err := s.headers(ctx, g)
	if err != nil {
		return err
	}
	if held := slots.generation(); generation <= held {
		return fmt.Errorf("%w: %d given, %d held", ErrGeneration, generation, held)
	}
	newest, err := s.newestWhole(ctx, g, &slots)
	if err != nil {
		return err
	}
	var base *slotInfo
	if newest >= 0 {
		base = &slots[newest]
	}
	v := version{generation, data, traces || slots.traces(newest)}
	return s.store(ctx, g, slots.target(newest), base, v)
}

// version is what a header is made for.
type version struct {
	generation uint64
	data       []byte
	traces     bool
}

// store writes a version beside base, and in slot target its header. Where the
// free places are too many and too small for a table, base is moved together
// before, into a version of its own generation.
func (s *Store) store(ctx context.Context, g geometry, target int, base *slotInfo, v version) error {
	for range maxRounds {
		l := arrange(g, base, v.data)
		if len(l.extents) <= g.entries {
			return s.write(ctx, target, newHeader(v, len(l.extents)), l)
		}
		l = compact(g, base)
		if len(l.patches) == 0 || len(l.extents) > g.entries {
			break
		}
		h := newHeader(version{base.header.generation, base.body, base.header.traces}, len(l.extents))
		if err := s.write(ctx, target, h, l); err != nil {
			return err
		}
		base = &slotInfo{header: h, extents: l.extents, body: base.body}
		target = 1 - target
	}
	return fmt.Errorf("%w: the room that is free is in too many pieces", ErrFull)
}

// arrange lays data out beside base, as cheaply as that is possible with few
// enough extents. A version that would need more is written anew as a whole.
func arrange(g geometry, base *slotInfo, data []byte) layout {
	holes := g.holes(base.taken())
	p := sharing(g, base, data)
	p.limit(g.entries * 2 / 3)
	l := p.tidy(holes)
	if len(l.extents) > g.entries {
		l = sharing(g, nil, data).place(holes)
	}
	return l
}

// taken is where a version lies, nowhere if there is none.
func (i *slotInfo) taken() []extent {
	if i == nil {
		return nil
	}
	return i.extents
}

// compact moves the smallest pieces of a version to the largest hole. Without a
// piece that fits there are no patches.
func compact(g geometry, base *slotInfo) layout {
	largest := slices.MaxFunc(g.holes(base.taken()), func(a, b extent) int { return cmp.Compare(a.n, b.n) })
	p := &plan{body: base.body}
	for _, e := range base.extents {
		p.add(segment{e, false})
	}
	pieces := runs(base.extents, 0)
	slices.SortStableFunc(pieces, func(a, b extent) int { return cmp.Compare(a.n, b.n) })
	room := largest.n
	for _, piece := range pieces {
		inside := func(_ int, s segment) bool { return piece.holds(s.extent) }
		need := 0
		for i, s := range p.segments {
			if !s.fresh && inside(i, s) {
				need += s.n
			}
		}
		if need > room {
			break
		}
		room -= need
		p.renew(inside)
	}
	return p.place([]extent{largest})
}

// write carries a layout out: what is new, then the table, and when all that is on
// the card, the header.
func (s *Store) write(ctx context.Context, slot int, h header, l layout) error {
	for _, p := range l.joined() {
		if err := s.slots.WriteAt(ctx, p.slot, p.off, p.data); err != nil {
			return fmt.Errorf("cannot write body in slot %d: %w", p.slot, err)
		}
	}
	if table := encodeTable(l.extents); len(table) > 0 {
		if err := s.slots.WriteAt(ctx, slot, HeaderSize, table); err != nil {
			return fmt.Errorf("cannot write table of slot %d: %w", slot, err)
		}
	}
	encoded := h.encode()
	if err := s.slots.WriteAt(ctx, slot, 0, encoded); err != nil {
		return fmt.Errorf("cannot write header of slot %d: %w", slot, err)
	}
	back := make([]byte, HeaderSize)
	if err := s.slots.ReadAt(ctx, slot, 0, back); err != nil {
		return fmt.Errorf("cannot read back header of slot %d: %w", slot, err)
	}
	if !bytes.Equal(back, encoded) {
		return fmt.Errorf("header of slot %d does not read back: %w", slot, ErrDamaged)
	}
	return nil
}
