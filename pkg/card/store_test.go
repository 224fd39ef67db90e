package card_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/cardtest"
	"github.com/reprovision/reprovision/pkg/card/iso7816"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

func formatted(t *testing.T) card.SlotMedium {
	t.Helper()
	c, err := virtual.New(virtual.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := iso7816.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Format(t.Context(), 4096); err != nil {
		t.Fatal(err)
	}
	return m.(card.SlotMedium)
}

// liar is a medium that loses what is written to one place.
type liar struct {
	card.SlotMedium
	lose func(off int) bool
}

func (l liar) WriteAt(ctx context.Context, slot, off int, p []byte) error {
	if l.lose(off) {
		return nil
	}
	return l.SlotMedium.WriteAt(ctx, slot, off, p)
}

// TestLostHeader checks that a commit is not called done whose header did not
// arrive.
func TestLostHeader(t *testing.T) {
	m := formatted(t)
	err := card.NewStore(liar{m, func(off int) bool { return off == 0 }}).Commit(t.Context(), 1, []byte("data"))
	if !errors.Is(err, card.ErrDamaged) {
		t.Fatalf("got %v", err)
	}
}

// strange is a medium with a layout that no card of ours has.
type strange struct {
	card.SlotMedium
	size int
}

func (s strange) Layout(context.Context) (card.Layout, error) {
	return card.Layout{Formatted: true, SlotSize: s.size}, nil
}

func TestStrangeLayout(t *testing.T) {
	for _, size := range []int{-5, 0, card.HeaderSize, card.MaxSlotSize + 1} {
		store := card.NewStore(strange{formatted(t), size})
		if _, err := store.Load(t.Context()); !errors.Is(err, card.ErrDamaged) {
			t.Errorf("slots of %d bytes: %v", size, err)
		}
	}
}

// TestCanceled checks that a canceled context stops every operation and is told.
func TestCanceled(t *testing.T) {
	m := formatted(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	store := card.NewStore(m)
	_, loaded := store.Load(ctx)
	_, verified := store.Verify(ctx)
	for _, err := range []error{loaded, verified, store.Commit(ctx, 1, nil)} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
}

// TestFaulty checks the fault wrapper itself: a cut that cuts nothing would make
// every test pass.
func TestFaulty(t *testing.T) {
	f := &cardtest.Faulty{Medium: formatted(t), CutAt: 2, Torn: 2}
	if err := f.WriteAt(t.Context(), 0, 0, []byte("abcd")); err != nil {
		t.Fatal(err)
	}
	if err := f.WriteAt(t.Context(), 0, 0, []byte("wxyz")); !errors.Is(err, card.ErrRemoved) {
		t.Fatalf("got %v", err)
	}
	if err := f.ReadAt(t.Context(), 0, 0, make([]byte, 4)); !errors.Is(err, card.ErrRemoved) {
		t.Fatalf("got %v", err)
	}
	b := make([]byte, 4)
	if err := f.Medium.(card.SlotMedium).ReadAt(t.Context(), 0, 0, b); err != nil || string(b) != "wxcd" {
		t.Fatalf("card holds %q, %v", b, err)
	}
}

// TestNoSlots checks that a medium that is neither of slots nor of versions is
// refused, not trusted.
func TestNoSlots(t *testing.T) {
	store := card.NewStore(struct{ card.Medium }{formatted(t)})
	_, loaded := store.Load(t.Context())
	for _, err := range []error{loaded, store.Commit(t.Context(), 1, nil)} {
		if !errors.Is(err, card.ErrUnsupported) {
			t.Errorf("got %v", err)
		}
	}
}

// stuck is a card with bytes that do not hold what is written to them: the first
// eight of each page of a slot's room.
type stuck struct {
	card.SlotMedium
	slot, from, to int
}

func (s stuck) ReadAt(ctx context.Context, slot, off int, p []byte) error {
	if err := s.SlotMedium.ReadAt(ctx, slot, off, p); err != nil {
		return err
	}
	for i := range p {
		if at := off + i; slot == s.slot && at >= s.from && at < s.to {
			p[i] = 0x55
		}
	}
	return nil
}

// TestRepairStuck repairs a card with memory that is worn for good: in the room of
// either slot, or in a header and its table.
func TestRepairStuck(t *testing.T) {
	data := bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7, 8}, 200)
	for _, at := range []stuck{{slot: 0, from: 1000, to: 1010}, {slot: 1, from: 900, to: 2500}, {slot: 0, from: 0, to: 100}, {slot: 1, from: 20, to: 90}} {
		m := formatted(t)
		store := card.NewStore(m)
		for generation := range uint64(2) {
			if err := store.Commit(t.Context(), 1+generation, append(bytes.Clone(data), byte(generation))); err != nil {
				t.Fatal(err)
			}
		}
		// Both headers are damaged.
		for slot := range card.Slots {
			if err := m.WriteAt(t.Context(), slot, 30, []byte{0xAA, 0xAA}); err != nil {
				t.Fatal(err)
			}
		}
		at.SlotMedium = m
		worn := card.NewStore(at)
		if _, err := worn.Load(t.Context()); !errors.Is(err, card.ErrDamaged) {
			t.Fatalf("%+v: %v", at, err)
		}
		generation, err := worn.Repair(t.Context(), 9, data)
		if err != nil || generation < 10 {
			t.Fatalf("%+v: generation %d, %v", at, generation, err)
		}
		object, err := worn.Load(t.Context())
		if err != nil || object.Generation != generation || !bytes.Equal(object.Data, data) {
			t.Errorf("%+v: generation %d loaded, %v", at, object.Generation, err)
		}
	}
}
