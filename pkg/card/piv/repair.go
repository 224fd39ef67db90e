package piv

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/reprovision/reprovision/pkg/card"
)

// Repair implements card.VersionMedium. Objects of the damaged versions are written
// last, and only where the others do not suffice; one that does not hold what is
// written is not used in the next try.
func (m *Medium) Repair(ctx context.Context, floor uint64, body []byte) (generation uint64, err error) {
	if generation, err = m.repair(ctx, floor, body); err != nil {
		return 0, fmt.Errorf("cannot repair card: %w", err)
	}
	return generation, nil
}

func (m *Medium) repair(ctx context.Context, floor uint64, body []byte) (uint64, error) {
	if !m.ready {
		return 0, card.ErrUnformatted
	}
	if have := m.shape.capacity(); len(body) > have {
		return 0, &card.FullError{Need: len(body), Have: have}
	}
	base, err := m.newest(ctx)
	if err != nil {
		return 0, err
	}
	if base != nil {
		return 0, card.ErrWhole
	}
	if err := m.authorize(ctx); err != nil {
		return 0, err
	}
	generation, err := m.rebuild(ctx, max(floor, m.generation()), body)
	if err != nil {
		return 0, m.explain(ctx, err)
	}
	return generation, nil
}

// rebuild writes a version until it reads back.
func (m *Medium) rebuild(ctx context.Context, generation uint64, body []byte) (uint64, error) {
	spoken := m.spokenOf()
	var worn uint32
	for range maxRounds {
		p := newPlan(nil, body, m.shape.payload)
		p.traces = true
		free := slices.DeleteFunc(m.free(nil), func(o object) bool { return worn&(1<<o) != 0 })
		slices.SortStableFunc(free, func(a, b object) int { return cmp.Compare(spoken>>a&1, spoken>>b&1) })
		if p.need() > len(free) {
			return 0, fmt.Errorf("%w: too much of it does not hold what is written", card.ErrDamaged)
		}
		generation++
		written, err := m.write(ctx, nil, p, free, generation)
		if errors.Is(err, errStolen) {
			continue
		}
		if err != nil {
			return 0, err
		}
		bad, err := m.wornOf(ctx, p, free)
		if err != nil {
			return 0, err
		}
		if bad == 0 {
			_, err := m.check(ctx, written.slot)
			return generation, err
		}
		worn |= bad
	}
	return 0, fmt.Errorf("%w: what is written does not read back", card.ErrDamaged)
}

// spokenOf tells, by bit, of which objects the headers speak.
func (m *Medium) spokenOf() uint32 {
	var spoken uint32
	for i := range m.slots {
		for _, o := range m.shape.data() {
			if m.slots[i].speaksOf(o) {
				spoken |= 1 << o
			}
		}
	}
	return spoken
}

// wornOf reads back what a plan wrote, and tells by bit which objects do not hold it.
func (m *Medium) wornOf(ctx context.Context, p *plan, free []object) (uint32, error) {
	var worn uint32
	_, chunks := p.place(free)
	for i, chunk := range chunks {
		found, err := m.read(ctx, free[i], len(chunk))
		if err != nil {
			return 0, err
		}
		if found.kind != data || !bytes.Equal(found.data[:min(len(chunk), len(found.data))], chunk) {
			worn |= 1 << free[i]
		}
	}
	return worn, nil
}
