package card

import (
	"context"
	"fmt"
)

// SlotState says what a slot holds.
type SlotState int

// The states of a slot.
const (
	SlotBlank   SlotState = iota // its header was never written
	SlotWhole                    // header and body are as they were committed
	SlotDamaged                  // torn or worn: the header or the body does not verify
)

// String is the state in a word.
func (s SlotState) String() string {
	switch s {
	case SlotBlank:
		return "blank"
	case SlotWhole:
		return "whole"
	}
	return "damaged"
}

// SlotReport describes one slot. Generation and Length are 0 unless the header
// verifies.
type SlotReport struct {
	State      SlotState
	Generation uint64
	Length     int // bytes of body
}

// Report is the outcome of Verify.
type Report struct {
	Layout Layout
	Slots  [Slots]SlotReport
	Newest int    // the slot with the newest whole version, -1 if there is none
	Data   []byte // of the newest whole version
}

// Lost is the generation of a version that was committed after the newest whole one, or with
// none that is whole, and whose bytes have been damaged since; 0 for none.
func (r Report) Lost() uint64 {
	var lost, newest uint64
	if r.Newest >= 0 {
		newest = r.Slots[r.Newest].Generation
	}
	for _, s := range r.Slots {
		if s.State == SlotDamaged && s.Generation > newest {
			lost = max(lost, s.Generation)
		}
	}
	return lost
}

// slotInfo is what was found in one slot. Until check has read the body, a slot
// with a valid header has no state.
type slotInfo struct {
	header  header
	parsed  bool // the header verifies
	state   SlotState
	extents []extent // where the body lies, in order; set with it
	body    []byte   // set if whole
}

type slotPair [Slots]slotInfo

// generation is the highest of all headers that verify, whole body or not: to
// count on from it never gives one number to two versions.
func (p *slotPair) generation() uint64 {
	var highest uint64
	for _, slot := range p {
		if slot.parsed {
			highest = max(highest, slot.header.generation)
		}
	}
	return highest
}

// nothing is the reason why no slot is whole.
func (p *slotPair) nothing() error {
	for _, slot := range p {
		if slot.state != SlotBlank {
			return ErrDamaged
		}
	}
	return ErrBlank
}

// target is the slot to write next: never the newest whole one.
func (p *slotPair) target(newest int) int {
	if newest >= 0 {
		return 1 - newest
	}
	return p.newer() ^ 1
}

// newer is the slot of which the valid header was written last, or 0.
func (p *slotPair) newer() int {
	if p[1].parsed && (!p[0].parsed || p[1].header.after(p[0].header)) {
		return 1
	}
	return 0
}

// traces tells whether a version that is void may be left on the card beside the newest
// whole one, which is in slot newest, -1 for none.
func (p *slotPair) traces(newest int) bool {
	for i, slot := range p {
		if slot.parsed && slot.header.traces && (newest < 0 || i == newest || slot.header.after(p[newest].header)) {
			return true
		}
	}
	return false
}

// headers reads and judges both headers.
func (s *Store) headers(ctx context.Context, g geometry) (slotPair, error) {
	var pair slotPair
	buf := make([]byte, HeaderSize)
	for i := range pair {
		if err := s.slots.ReadAt(ctx, i, 0, buf); err != nil {
			return pair, fmt.Errorf("cannot read header of slot %d: %w", i, err)
		}
		h, err := parseHeader(buf, g)
		switch {
		case err == nil:
			pair[i].header, pair[i].parsed = h, true
		case blank(buf):
			pair[i].state = SlotBlank
		default:
			pair[i].state = SlotDamaged
		}
	}
	return pair, nil
}

// newestWhole reads bodies, the newest first, until one verifies. It returns the
// slot, or -1.
func (s *Store) newestWhole(ctx context.Context, g geometry, pair *slotPair) (int, error) {
	first := pair.newer()
	for _, i := range []int{first, 1 - first} {
		if !pair[i].parsed {
			continue
		}
		if err := s.check(ctx, g, i, &pair[i]); err != nil {
			return -1, err
		}
		if pair[i].state == SlotWhole {
			return i, nil
		}
	}
	return -1, nil
}

// check reads the version that a slot with a valid header stands for.
func (s *Store) check(ctx context.Context, g geometry, slot int, info *slotInfo) error {
	extents, err := s.table(ctx, g, slot, info.header)
	if err != nil {
		return err
	}
	body, err := s.gather(ctx, g, extents)
	if err != nil {
		return fmt.Errorf("cannot read version in slot %d: %w", slot, err)
	}
	info.state = SlotDamaged
	if info.header.describes(body) {
		info.state, info.extents, info.body = SlotWhole, extents, body
	}
	return nil
}

// table tells where the version of a header lies; none if the table is damaged.
func (s *Store) table(ctx context.Context, g geometry, slot int, h header) ([]extent, error) {
	if h.version == headerLinear {
		return []extent{{slot, HeaderSize, h.length}}, nil
	}
	b := make([]byte, h.count*entrySize)
	if len(b) > 0 {
		if err := s.slots.ReadAt(ctx, slot, HeaderSize, b); err != nil {
			return nil, fmt.Errorf("cannot read table of slot %d: %w", slot, err)
		}
	}
	if extents, ok := parseTable(b, g, h.length); ok {
		return extents, nil
	}
	return nil, nil
}

// readGap is the number of bytes that are read in vain rather than starting
// another read: about what a further APDU costs on a slow card.
const readGap = 48

// gather reads the bytes of extents, each place once and in ascending order.
func (s *Store) gather(ctx context.Context, g geometry, extents []extent) ([]byte, error) {
	var image [Slots][]byte
	for _, e := range runs(extents, readGap) {
		if image[e.slot] == nil {
			image[e.slot] = make([]byte, g.size)
		}
		if err := s.slots.ReadAt(ctx, e.slot, e.off, image[e.slot][e.off:e.end()]); err != nil {
			return nil, err
		}
	}
	body := make([]byte, 0, sizeOf(extents))
	for _, e := range extents {
		body = append(body, image[e.slot][e.off:e.end()]...)
	}
	return body, nil
}

// Verify reads everything back and reports the state of both slots. A damaged
// or blank slot is no error; ErrUnformatted and those of the medium are.
func (s *Store) Verify(ctx context.Context) (Report, error) {
	if s.kept != nil {
		return s.kept.Verify(ctx)
	}
	report := Report{Newest: -1}
	layout, err := s.layout(ctx)
	if err != nil {
		return report, fmt.Errorf("cannot verify card: %w", err)
	}
	report.Layout = layout
	g := slotGeometry(layout.SlotSize)
	pair, err := s.headers(ctx, g)
	if err != nil {
		return report, fmt.Errorf("cannot verify card: %w", err)
	}
	for i := range pair {
		if pair[i].parsed {
			if err := s.check(ctx, g, i, &pair[i]); err != nil {
				return report, fmt.Errorf("cannot verify card: %w", err)
			}
		}
		report.add(i, pair[i])
	}
	return report, nil
}

func (r *Report) add(slot int, info slotInfo) {
	r.Slots[slot] = SlotReport{State: info.state, Generation: info.header.generation, Length: info.header.length}
	if info.state != SlotWhole {
		return
	}
	if r.Newest < 0 || info.header.generation > r.Slots[r.Newest].Generation {
		r.Newest, r.Data = slot, info.body
	}
}
