package card

import (
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

	// Traces says that the version was stored by Renew, and that Overwrite has not done
	// its work yet: of what is void, something may be left on the card.
	Traces bool
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
	g := slotGeometry(layout.SlotSize)
	slots, err := s.headers(ctx, g)
	if err != nil {
		return Object{}, err
	}
	newest, err := s.newestWhole(ctx, g, &slots)
	if err != nil {
		return Object{}, err
	}
	if newest < 0 {
		return Object{}, slots.nothing()
	}
	object := Object{Generation: slots[newest].header.generation, Data: slots[newest].body, Traces: slots.traces(newest)}
	if other := slots[1-newest]; other.state == SlotDamaged && other.parsed && other.header.generation > object.Generation {
		object.Lost = other.header.generation
	}
	return object, nil
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
