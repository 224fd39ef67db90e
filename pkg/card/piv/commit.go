package piv

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/reprovision/reprovision/pkg/card"
)

// errStolen means that an object of ours holds something foreign by now. It was
// noted, and is not to be used.
var errStolen = errors.New("object is foreign by now")

// maxRounds bounds how often a commit plans again: once for each object that is
// found stolen, and as often for moving things about.
const maxRounds = 3 * maxObjects

// Commit implements card.VersionMedium. Bytes that the newest whole version has,
// anywhere, are shared with it; the others go to objects that it does not use,
// and then the header that is not its own is written.
func (m *Medium) Commit(ctx context.Context, generation uint64, body []byte) error {
	if err := m.commit(ctx, generation, body, false); err != nil {
		return fmt.Errorf("cannot commit to card: %w", err)
	}
	return nil
}

// commit tells by renew that whatever else is on the card is void from then on: nothing is
// shared then, for objects cannot be overwritten in part.
func (m *Medium) commit(ctx context.Context, generation uint64, body []byte, renew bool) error {
	if !m.ready {
		return card.ErrUnformatted
	}
	if have := m.shape.capacity(); len(body) > have {
		return &card.FullError{Need: len(body), Have: have}
	}
	if held := m.generation(); generation <= held {
		return fmt.Errorf("%w: %d given, %d held", card.ErrGeneration, generation, held)
	}
	base, err := m.newest(ctx)
	if err != nil {
		return err
	}
	if err := m.authorize(ctx); err != nil {
		return err
	}
	if err := m.store(ctx, base, generation, body, renew); err != nil {
		return m.explain(ctx, err)
	}
	return nil
}

// generation is the highest of all headers, whether their version is whole or not.
func (m *Medium) generation() uint64 {
	var highest uint64
	for _, s := range m.slots {
		if s.header != nil {
			highest = max(highest, s.header.generation)
		}
	}
	return highest
}

// store writes a version beside base, moving that one closer together first if
// there is no room otherwise.
func (m *Medium) store(ctx context.Context, base *version, generation uint64, body []byte, renew bool) error {
	for range maxRounds {
		p := newPlan(base, body, m.shape.payload)
		if renew {
			p = newPlan(nil, body, m.shape.payload)
		}
		p.traces = renew || m.traces(base)
		next, free := generation, m.free(base)
		p.settle(len(m.shape.data()), len(free))
		if p.need() > len(free) {
			if base != nil {
				p, next = compaction(base, m.shape.payload), base.generation
			}
			if p == nil || p.need() > len(free) {
				return &card.FullError{Need: len(body), Have: m.room(base)}
			}
		}
		written, err := m.write(ctx, base, p, free, next)
		switch {
		case errors.Is(err, errStolen):
		case err != nil:
			return err
		case next == generation:
			return nil
		default:
			base = written
		}
	}
	return fmt.Errorf("%w: no room can be made", card.ErrFull)
}

// free lists the data objects that may be written while base has to stay whole:
// first those that the other header does not speak of either.
func (m *Medium) free(base *version) []object {
	var none, other []object
	for _, o := range m.shape.data() {
		switch {
		case m.stolen&(1<<o) != 0, base != nil && base.needed(o) > 0:
		case base != nil && m.slots[1-base.slot].speaksOf(o):
			other = append(other, o)
		default:
			none = append(none, o)
		}
	}
	return append(none, other...)
}

func (s *slot) speaksOf(o object) bool { return s.header != nil && s.header.needed(o) > 0 }

// room is the number of bytes of a version that fit beside base.
func (m *Medium) room(base *version) int {
	count := 0
	for _, o := range m.shape.data() {
		if m.stolen&(1<<o) == 0 {
			count++
		}
	}
	if base != nil {
		count -= objectsFor(len(base.body), m.shape.payload)
	}
	return min(max(count, 0)*m.shape.payload, m.shape.capacity())
}

// write carries a plan out: the fresh bytes, then the header. After an error the
// version base is as it was.
func (m *Medium) write(ctx context.Context, base *version, p *plan, free []object, generation uint64) (*version, error) {
	extents, chunks := p.place(free)
	for i, chunk := range chunks {
		if err := m.writeData(ctx, free[i], chunk); err != nil {
			return nil, err
		}
	}
	target := m.newer()[1]
	if base != nil {
		target = 1 - base.slot
	}
	h := &header{shape: m.shape, sequence: m.sequence() + 1, generation: generation, traces: p.traces, digest: sha256.Sum256(p.body), extents: extents}
	if err := m.writeHeader(ctx, target, h); err != nil {
		return nil, err
	}
	return &version{header: h, slot: target, body: p.body}, nil
}

// place says which bytes go to which of the free objects, and where all are then.
// The longest ranges come first: short ones behind them are cheap to write anew,
// should nothing else make an object be read so far.
func (p *plan) place(free []object) (extents []extent, chunks [][]byte) {
	places := make([][]extent, len(p.segments))
	for i, s := range p.segments {
		if !s.fresh {
			places[i] = []extent{s.extent}
		}
	}
	for _, f := range p.freshByLength() {
		for left := p.body[f.at : f.at+f.n]; len(left) > 0; {
			if k := len(chunks); k == 0 || len(chunks[k-1]) == p.payload {
				chunks = append(chunks, nil)
			}
			last := len(chunks) - 1
			n := min(len(left), p.payload-len(chunks[last]))
			places[f.segment] = append(places[f.segment], extent{free[last], len(chunks[last]), n})
			chunks[last] = append(chunks[last], left[:n]...)
			left = left[n:]
		}
	}
	return slices.Concat(places...), chunks
}

// freshRange is a segment that is to be written: n bytes at an offset of the body.
type freshRange struct{ segment, at, n int }

func (p *plan) freshByLength() []freshRange {
	var list []freshRange
	at := 0
	for i, s := range p.segments {
		if s.fresh {
			list = append(list, freshRange{i, at, s.n})
		}
		at += s.n
	}
	slices.SortStableFunc(list, func(a, b freshRange) int { return cmp.Compare(b.n, a.n) })
	return list
}

// writeData writes an object, having looked whether it is still ours.
func (m *Medium) writeData(ctx context.Context, o object, chunk []byte) error {
	found, err := m.peek(ctx, o)
	if err != nil {
		return err
	}
	if found.kind == foreign {
		m.stolen |= 1 << o
		return fmt.Errorf("%w: %06X", errStolen, o.tag())
	}
	if err := m.client.write(ctx, o, magicData, chunk); err != nil {
		return fmt.Errorf("cannot write object %06X: %w", o.tag(), err)
	}
	return nil
}

// writeHeader writes the header of a slot and reads it back.
func (m *Medium) writeHeader(ctx context.Context, target int, h *header) error {
	place := m.shape.list()[target]
	if m.stolen&(1<<place) != 0 {
		return fmt.Errorf("%w: object %06X, which was for a header", card.ErrForeign, place.tag())
	}
	if len(h.extents) > maxExtents {
		return fmt.Errorf("%w: the version is in %d pieces", card.ErrFull, len(h.extents))
	}
	encoded := h.encode()
	m.slots[target] = slot{state: card.SlotDamaged}
	if err := m.client.write(ctx, place, magicHeader, encoded); err != nil {
		return fmt.Errorf("cannot write header of slot %d: %w", target, err)
	}
	back, err := m.peek(ctx, place)
	if err != nil {
		return fmt.Errorf("cannot read back header of slot %d: %w", target, err)
	}
	if back.kind != head || !bytes.Equal(back.data, encoded) {
		return fmt.Errorf("header of slot %d does not read back: %w", target, card.ErrDamaged)
	}
	m.slots[target] = slot{header: h, state: card.SlotWhole}
	return nil
}

// sequence is the highest number of a header.
func (m *Medium) sequence() uint64 {
	var highest uint64
	for _, s := range m.slots {
		if s.header != nil {
			highest = max(highest, s.header.sequence)
		}
	}
	return highest
}
