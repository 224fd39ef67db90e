package cardtest

import (
	"errors"
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
)

// testGenerations commits version after version and looks at both slots.
func testGenerations(t *testing.T, m card.Medium) {
	mustFormat(t, m, slotSize)
	store := card.NewStore(m)
	_, err := store.Load(t.Context())
	want(t, err, card.ErrBlank)
	for i, size := range []int{0, 1, 2000, 300, 4000, 0, 17} {
		generation := uint64(10 + 3*i)
		data := noise(uint64(i), size)
		mustCommit(t, m, generation, data)
		if object := mustLoad(t, m, generation, data); object.Lost != 0 {
			t.Fatalf("generation %d counts as lost", object.Lost)
		}
		want(t, store.Commit(t.Context(), generation, data), card.ErrGeneration)
		want(t, store.Commit(t.Context(), generation-1, data), card.ErrGeneration)
		report, err := store.Verify(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if newest := report.Newest; newest < 0 || report.Slots[newest].Generation != generation || report.Slots[newest].Length != size {
			t.Fatalf("report after generation %d: %+v", generation, report)
		}
		if other := report.Slots[1-report.Newest]; i > 0 && (other.State != card.SlotWhole || other.Generation != generation-3) {
			t.Fatalf("the version before is not kept: %+v", report)
		}
	}
}

func testFull(t *testing.T, m card.Medium) {
	layout := mustFormat(t, m, slotSize)
	data := noise(1, layout.Capacity()+1)
	mustCommit(t, m, 1, data[:layout.Capacity()])
	err := card.NewStore(m).Commit(t.Context(), 2, data)
	var full *card.FullError
	if !errors.As(err, &full) || full.Need != len(data) || full.Have != layout.Capacity() {
		t.Fatalf("got %v", err)
	}
	want(t, err, card.ErrFull)
	mustLoad(t, m, 1, data[:layout.Capacity()])
}

// testDifferences checks that a small change is a small write.
func testDifferences(t *testing.T, m card.SlotMedium) {
	mustFormat(t, m, slotSize)
	data := noise(1, 4000)
	mustCommit(t, m, 1, data)
	mustCommit(t, m, 2, data)
	next := edited(data, 4)
	counting := &Faulty{Medium: m}
	mustCommit(t, counting, 3, next)
	if limit := 4 + card.HeaderSize; counting.Written > limit {
		t.Errorf("%d bytes written for 4 changed ones, at most %d expected", counting.Written, limit)
	}
	mustLoad(t, m, 3, next)
	counting = &Faulty{Medium: m}
	mustCommit(t, counting, 4, next)
	mustLoad(t, m, 4, next)
	counting = &Faulty{Medium: m}
	mustCommit(t, counting, 5, next)
	if counting.Written != card.HeaderSize {
		t.Errorf("%d bytes written for no change", counting.Written)
	}
}

// flip changes one byte of a slot.
func flip(t *testing.T, m card.SlotMedium, slot, off int) {
	t.Helper()
	b := make([]byte, 1)
	if err := m.ReadAt(t.Context(), slot, off, b); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if err := m.WriteAt(t.Context(), slot, off, b); err != nil {
		t.Fatal(err)
	}
}

// newestSlot is where the newest whole version lies.
func newestSlot(t *testing.T, m card.Medium) int {
	t.Helper()
	report, err := card.NewStore(m).Verify(t.Context())
	if err != nil || report.Newest < 0 {
		t.Fatalf("no newest slot in %+v: %v", report, err)
	}
	return report.Newest
}

// testDamagedBody wears out the newest version, then both.
func testDamagedBody(t *testing.T, m card.SlotMedium) {
	mustFormat(t, m, slotSize)
	mustCommit(t, m, 1, noise(1, 1000))
	mustCommit(t, m, 2, noise(2, 1000))
	newest := newestSlot(t, m)
	flip(t, m, newest, card.HeaderSize+999)
	if object := mustLoad(t, m, 1, noise(1, 1000)); object.Lost != 2 {
		t.Errorf("generation %d counts as lost, want 2", object.Lost)
	}
	// The number of the lost version must not be given again.
	want(t, card.NewStore(m).Commit(t.Context(), 2, nil), card.ErrGeneration)
	flip(t, m, 1-newest, card.HeaderSize)
	_, err := card.NewStore(m).Load(t.Context())
	want(t, err, card.ErrDamaged)
	report, err := card.NewStore(m).Verify(t.Context())
	if err != nil || report.Newest != -1 || report.Slots[0].State != card.SlotDamaged || report.Slots[1].State != card.SlotDamaged {
		t.Fatalf("report of a damaged card: %+v, %v", report, err)
	}
	mustCommit(t, m, 3, noise(3, 1000))
	mustLoad(t, m, 3, noise(3, 1000))
}

// testDamagedHeader flips every byte of the newest header in turn.
func testDamagedHeader(t *testing.T, m card.SlotMedium) {
	mustFormat(t, m, slotSize)
	mustCommit(t, m, 1, noise(1, 100))
	mustCommit(t, m, 2, noise(2, 100))
	newest := newestSlot(t, m)
	for off := range card.HeaderSize {
		flip(t, m, newest, off)
		mustLoad(t, m, 1, noise(1, 100))
		flip(t, m, newest, off)
	}
	mustLoad(t, m, 2, noise(2, 100))
}
