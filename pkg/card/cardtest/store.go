package cardtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
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
	for i, size := range []int{0, 1, 2000, 300, 3500, 0, 17} {
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

// tableSize is what a table takes of a slot at most, for a version of so many pieces.
func tableSize(pieces int) int { return 7 * pieces }

// testDifferences checks that a small change is a small write, and that what is
// shifted is not written again.
func testDifferences(t *testing.T, m card.SlotMedium) {
	mustFormat(t, m, slotSize)
	data := noise(1, 3000)
	mustCommit(t, m, 1, data)
	writes := func(generation uint64, next []byte, limit int) {
		t.Helper()
		counting := &Faulty{Medium: m}
		mustCommit(t, counting, generation, next)
		if counting.Written > limit+card.HeaderSize {
			t.Errorf("%d bytes written for generation %d, at most %d expected", counting.Written, generation, limit+card.HeaderSize)
		}
		mustLoad(t, m, generation, next)
	}
	writes(2, data, tableSize(1))
	data = edited(data, 4)
	writes(3, data, 4+tableSize(9))
	writes(4, data, tableSize(9))
	shifted := append(append(append([]byte{}, data[:1000]...), noise(2, 100)...), data[1000:]...)
	writes(5, shifted, 100+tableSize(11))
	writes(6, shifted[500:], tableSize(11))
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

// place finds bytes in the slots: which slot, and at which offset.
func place(t *testing.T, m card.SlotMedium, want []byte) (slot, off int) {
	t.Helper()
	layout, err := m.Layout(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for slot := range card.Slots {
		b := make([]byte, layout.SlotSize)
		if err := m.ReadAt(t.Context(), slot, 0, b); err != nil {
			t.Fatal(err)
		}
		if off := bytes.Index(b, want); off >= 0 {
			return slot, off
		}
	}
	t.Fatal("the bytes are not on the card")
	return 0, 0
}

// wear damages a byte of some that are on the card.
func wear(t *testing.T, m card.SlotMedium, bytes []byte) {
	t.Helper()
	slot, off := place(t, m, bytes)
	flip(t, m, slot, off)
}

// testDamagedBody wears out the newest version, then both.
func testDamagedBody(t *testing.T, m card.SlotMedium) {
	mustFormat(t, m, slotSize)
	mustCommit(t, m, 1, noise(1, 1000))
	mustCommit(t, m, 2, noise(2, 1000))
	wear(t, m, noise(2, 1000)[999-50:])
	if object := mustLoad(t, m, 1, noise(1, 1000)); object.Lost != 2 {
		t.Errorf("generation %d counts as lost, want 2", object.Lost)
	}
	// The number of the lost version must not be given again.
	want(t, card.NewStore(m).Commit(t.Context(), 2, nil), card.ErrGeneration)
	wear(t, m, noise(1, 1000))
	_, err := card.NewStore(m).Load(t.Context())
	want(t, err, card.ErrDamaged)
	report, err := card.NewStore(m).Verify(t.Context())
	if err != nil || report.Newest != -1 || report.Slots[0].State != card.SlotDamaged || report.Slots[1].State != card.SlotDamaged {
		t.Fatalf("report of a damaged card: %+v, %v", report, err)
	}
	mustCommit(t, m, 3, noise(3, 1000))
	mustLoad(t, m, 3, noise(3, 1000))
}

// testDamagedHeader flips every byte of the newest header, and of its table, in
// turn.
func testDamagedHeader(t *testing.T, m card.SlotMedium) {
	mustFormat(t, m, slotSize)
	mustCommit(t, m, 1, noise(1, 100))
	mustCommit(t, m, 2, noise(2, 100))
	newest := newestSlot(t, m)
	for off := range card.HeaderSize + tableSize(1) {
		flip(t, m, newest, off)
		mustLoad(t, m, 1, noise(1, 100))
		flip(t, m, newest, off)
	}
	mustLoad(t, m, 2, noise(2, 100))
}

// oldVersion writes a version as it was laid out before there were tables.
func oldVersion(t *testing.T, m card.SlotMedium, slot int, generation uint64, data []byte) {
	t.Helper()
	b := append(make([]byte, card.HeaderSize), data...)
	copy(b, "RPOB\x01")
	binary.BigEndian.PutUint64(b[8:], generation)
	binary.BigEndian.PutUint32(b[16:], uint32(len(data)))
	body := sha256.Sum256(data)
	copy(b[24:], body[:])
	head := sha256.Sum256(b[:56])
	copy(b[56:card.HeaderSize], head[:])
	if err := m.WriteAt(t.Context(), slot, 0, b); err != nil {
		t.Fatal(err)
	}
}

// testOldVersions takes up a card that was written before there were tables, its
// slots being as full as they could be then.
func testOldVersions(t *testing.T, m card.SlotMedium) {
	layout := mustFormat(t, m, slotSize)
	data := noise(1, layout.SlotSize-card.HeaderSize)
	oldVersion(t, m, 0, 6, noise(2, 900))
	oldVersion(t, m, 1, 7, data)
	mustLoad(t, m, 7, data)
	next := data[300 : 300+layout.Capacity()]
	counting := &Faulty{Medium: m}
	mustCommit(t, counting, 8, next)
	if counting.Written > card.HeaderSize+600 {
		t.Errorf("%d bytes written for what was there", counting.Written)
	}
	mustLoad(t, m, 8, next)
	report, err := card.NewStore(m).Verify(t.Context())
	if err != nil || report.Slots[1].State != card.SlotWhole || report.Slots[1].Generation != 7 {
		t.Fatalf("the old version is lost: %+v, %v", report, err)
	}
	mustCommit(t, m, 9, noise(3, layout.Capacity()))
	mustLoad(t, m, 9, noise(3, layout.Capacity()))
}
