package card

import (
	"bytes"
	"context"
	"fmt"
)

// Store reads and commits the one object of a card over its Medium. It holds
// nothing but the Medium, and is void with it.
type Store struct {
	medium Medium
	slots  SlotMedium    // the Medium, if it is one of slots
	kept   VersionMedium // the Medium, if it keeps versions by itself
}

// Object is one whole version of the data on a card.
type Object struct {
	Generation uint64
	Data       []byte

	// Lost is the generation of a newer version that was committed and whose
	// bytes have been damaged since, or 0. Torn commits do not count.
	Lost uint64
}

// NewStore makes the store of the card that m gives access to.
func NewStore(m Medium) *Store {
	s := &Store{medium: m}
	if kept, ok := m.(VersionMedium); ok {
		s.kept = kept
		return s
	}
	s.slots, _ = m.(SlotMedium)
	return s
}

// Load returns the newest whole version. Its errors are ErrUnformatted,
// ErrBlank, ErrDamaged, and those of the medium.
func (s *Store) Load(ctx context.Context) (Object, error) {
	if s.kept != nil {
		return s.kept.Load(ctx)
	}
	object, err := s.load(ctx)
	if err != nil {
		return Object{}, fmt.Errorf("cannot load from card: %w", err)
	}
	return object, nil
}

func (s *Store) load(ctx context.Context) (Object, error) {
	layout, err := s.layout(ctx)
	if err != nil {
		return Object{}, err
	}
	slots, err := s.headers(ctx, layout)
	if err != nil {
		return Object{}, err
	}
	newest, err := s.newestWhole(ctx, &slots)
	if err != nil {
		return Object{}, err
	}
	if newest < 0 {
		return Object{}, slots.nothing()
	}
	object := Object{Generation: slots[newest].header.generation, Data: slots[newest].body}
	if other := slots[1-newest]; other.state == SlotDamaged && other.parsed && other.header.generation > object.Generation {
		object.Lost = other.header.generation
	}
	return object, nil
}

// Commit stores data as the version generation, which must be above every one
// that the card holds, else ErrGeneration. It writes the slot that does not hold
// the newest whole version: of the body only what differs from the bytes already
// there, then the header, which it reads back. Data that do not fit give a
// *FullError and change nothing. After any other error the version before is
// still the newest whole one.
func (s *Store) Commit(ctx context.Context, generation uint64, data []byte) error {
	if s.kept != nil {
		return s.kept.Commit(ctx, generation, data)
	}
	if err := s.commit(ctx, generation, data); err != nil {
		return fmt.Errorf("cannot commit to card: %w", err)
	}
	return nil
}

func (s *Store) commit(ctx context.Context, generation uint64, data []byte) error {
	layout, err := s.layout(ctx)
	if err != nil {
		return err
	}
	if len(data) > layout.Capacity() {
		return &FullError{Need: len(data), Have: layout.Capacity()}
	}
	slots, err := s.headers(ctx, layout)
	if err != nil {
		return err
	}
	if held := slots.generation(); generation <= held {
		return fmt.Errorf("%w: %d given, %d held", ErrGeneration, generation, held)
	}
	newest, err := s.newestWhole(ctx, &slots)
	if err != nil {
		return err
	}
	return s.fill(ctx, slots.target(newest), newHeader(generation, data), data)
}

// fill makes a slot hold h and data, whatever it held before.
func (s *Store) fill(ctx context.Context, slot int, h header, data []byte) error {
	old := make([]byte, len(data))
	if err := s.slots.ReadAt(ctx, slot, HeaderSize, old); err != nil {
		return fmt.Errorf("cannot read slot %d: %w", slot, err)
	}
	for _, d := range changed(old, data) {
		if err := s.slots.WriteAt(ctx, slot, HeaderSize+d.off, data[d.off:d.end]); err != nil {
			return fmt.Errorf("cannot write body of slot %d: %w", slot, err)
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

func (s *Store) layout(ctx context.Context) (Layout, error) {
	if s.slots == nil {
		return Layout{}, fmt.Errorf("%w: it has no slots", ErrUnsupported)
	}
	layout, err := s.medium.Layout(ctx)
	switch {
	case err != nil:
		return Layout{}, err
	case !layout.Formatted:
		return Layout{}, ErrUnformatted
	case layout.SlotSize <= HeaderSize || layout.SlotSize > MaxSlotSize:
		return Layout{}, fmt.Errorf("%w: slots of %d bytes", ErrDamaged, layout.SlotSize)
	}
	return layout, nil
}
