package piv

import (
	"context"
	"fmt"

	"github.com/reprovision/reprovision/pkg/card"
)

// version is a whole version that was read from the card.
type version struct {
	*header
	slot int
	body []byte
}

// newer orders the slots, the one with the newest header first. Slots without a
// header come last.
func (m *Medium) newer() [card.Slots]int {
	a, b := m.slots[0].header, m.slots[1].header
	if b != nil && (a == nil || b.sequence > a.sequence) {
		return [card.Slots]int{1, 0}
	}
	return [card.Slots]int{0, 1}
}

// newest reads bodies, the newest first, until one verifies. Without a whole
// version it gives nil.
func (m *Medium) newest(ctx context.Context) (*version, error) {
	for _, i := range m.newer() {
		v, err := m.check(ctx, i)
		if err != nil || v != nil {
			return v, err
		}
	}
	return nil, nil
}

// check reads the version in a slot and notes its state. It gives nil unless the
// version is whole.
func (m *Medium) check(ctx context.Context, i int) (*version, error) {
	s := &m.slots[i]
	if s.header == nil || s.state == card.SlotBlank {
		return nil, nil
	}
	body, err := m.readBody(ctx, s.header)
	if err != nil {
		return nil, fmt.Errorf("cannot read version in slot %d: %w", i, m.explain(ctx, err))
	}
	if !s.header.describes(body) {
		s.state = card.SlotDamaged
		return nil, nil
	}
	s.state = card.SlotWhole
	return &version{header: s.header, slot: i, body: body}, nil
}

// readBody puts a version together. Objects that are not what they should be
// leave zeros, which the digest finds.
func (m *Medium) readBody(ctx context.Context, h *header) ([]byte, error) {
	objects := map[object][]byte{}
	for _, e := range h.extents {
		if _, ok := objects[e.object]; ok {
			continue
		}
		found, err := m.read(ctx, e.object, h.needed(e.object))
		if err != nil {
			return nil, err
		}
		if found.kind != data {
			found.data = nil
		}
		objects[e.object] = found.data
	}
	body, off := make([]byte, h.length()), 0
	for _, e := range h.extents {
		if from := objects[e.object]; e.off < len(from) {
			copy(body[off:off+e.n], from[e.off:])
		}
		off += e.n
	}
	return body, nil
}

// needed is how far into an object a version reaches.
func (h *header) needed(o object) int {
	n := 0
	for _, e := range h.extents {
		if e.object == o {
			n = max(n, e.off+e.n)
		}
	}
	return n
}

// Load implements card.VersionMedium.
func (m *Medium) Load(ctx context.Context) (card.Object, error) {
	loaded, err := m.load(ctx)
	if err != nil {
		return card.Object{}, fmt.Errorf("cannot load from card: %w", err)
	}
	return loaded, nil
}

func (m *Medium) load(ctx context.Context) (card.Object, error) {
	if !m.ready {
		return card.Object{}, card.ErrUnformatted
	}
	v, err := m.newest(ctx)
	if err != nil {
		return card.Object{}, err
	}
	if v == nil {
		return card.Object{}, m.nothing()
	}
	loaded := card.Object{Generation: v.generation, Data: v.body, Traces: m.traces(v)}
	if other := m.slots[1-v.slot]; other.state == card.SlotDamaged && other.header != nil && other.header.generation > v.generation {
		loaded.Lost = other.header.generation
	}
	return loaded, nil
}

// nothing is the reason why no slot is whole.
func (m *Medium) nothing() error {
	for _, s := range m.slots {
		if s.state != card.SlotBlank {
			return card.ErrDamaged
		}
	}
	return card.ErrBlank
}

// Verify implements card.VersionMedium.
func (m *Medium) Verify(ctx context.Context) (card.Report, error) {
	report := card.Report{Newest: -1}
	if !m.ready {
		return report, fmt.Errorf("cannot verify card: %w", card.ErrUnformatted)
	}
	report.Layout, _ = m.Layout(ctx)
	order := m.newer()
	for _, i := range []int{order[1], order[0]} {
		v, err := m.check(ctx, i)
		if err != nil {
			return report, fmt.Errorf("cannot verify card: %w", err)
		}
		report.Slots[i].State = m.slots[i].state
		if h := m.slots[i].header; h != nil {
			report.Slots[i].Generation, report.Slots[i].Length = h.generation, h.length()
		}
		if v != nil {
			report.Newest, report.Data = i, v.body
		}
	}
	return report, nil
}
