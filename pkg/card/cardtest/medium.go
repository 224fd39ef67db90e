package cardtest

import (
	"bytes"
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
)

// slotSize is the size of the slots that the suites format, in bytes.
const slotSize = 4096

// TestMedium is the conformance suite of card.Medium and of card.Store on it.
// fresh gives an unformatted card that takes two slots of 4096 bytes; it is
// called once for each test. What is about slots is left out for media that keep
// versions by themselves: for them there is TestCuts.
func TestMedium(t *testing.T, fresh func(t *testing.T) card.Medium) {
	for name, test := range map[string]func(*testing.T, card.Medium){
		"Unformatted": testUnformatted,
		"FormatAll":   testFormatAll,
		"FormatAgain": testFormatAgain,
		"BadSizes":    testBadSizes,
		"Generations": testGenerations,
		"Full":        testFull,
		"Histories":   testHistories,
	} {
		t.Run(name, func(t *testing.T) { test(t, fresh(t)) })
	}
	for name, test := range map[string]func(*testing.T, card.SlotMedium){
		"Ranges":          testRanges,
		"Bounds":          testBounds,
		"Differences":     testDifferences,
		"DamagedBody":     testDamagedBody,
		"DamagedHeader":   testDamagedHeader,
		"OldVersions":     testOldVersions,
		"CutEveryWrite":   testCutEveryWrite,
		"CutFirstCommit":  testCutFirstCommit,
		"CutAfterDamaged": testCutAfterDamaged,
	} {
		t.Run(name, func(t *testing.T) {
			m := fresh(t)
			slots, ok := m.(card.SlotMedium)
			if _, versions := m.(card.VersionMedium); !ok && versions {
				t.Skip("this medium has no slots")
			}
			if !ok {
				t.Fatalf("%T is neither a SlotMedium nor a VersionMedium", m)
			}
			test(t, slots)
		})
	}
}

func testUnformatted(t *testing.T, m card.Medium) {
	ctx, store := t.Context(), card.NewStore(m)
	_, err := store.Load(ctx)
	want(t, err, card.ErrUnformatted)
	want(t, store.Commit(ctx, 1, nil), card.ErrUnformatted)
	_, err = store.Verify(ctx)
	want(t, err, card.ErrUnformatted)
	if slots, ok := m.(card.SlotMedium); ok {
		want(t, slots.ReadAt(ctx, 0, 0, make([]byte, 1)), card.ErrUnformatted)
		want(t, slots.WriteAt(ctx, 0, 0, make([]byte, 1)), card.ErrUnformatted)
	}
}

// testFormatAll takes the whole card and fills it.
func testFormatAll(t *testing.T, m card.Medium) {
	layout := mustFormat(t, m, 0)
	if layout.SlotSize < slotSize/2 { // some loss is excused: cards that cannot delete
		t.Fatalf("slots of %d bytes, expected at least %d", layout.SlotSize, slotSize/2)
	}
	data := noise(1, layout.Capacity())
	mustCommit(t, m, 1, data)
	mustCommit(t, m, 2, data[1:])
	mustLoad(t, m, 2, data[1:])
}

// testFormatAgain checks that a new format leaves nothing of what was there.
func testFormatAgain(t *testing.T, m card.Medium) {
	mustFormat(t, m, slotSize)
	before := m.Identity()
	mustCommit(t, m, 7, noise(2, 1000))
	mustCommit(t, m, 8, noise(3, 1000))
	mustFormat(t, m, slotSize)
	if m.Identity() == before {
		t.Error("a formatted card must have an identity of its own")
	}
	_, err := card.NewStore(m).Load(t.Context())
	want(t, err, card.ErrBlank)
	mustCommit(t, m, 1, noise(4, 10))
	mustLoad(t, m, 1, noise(4, 10))
}

func testBadSizes(t *testing.T, m card.Medium) {
	for _, size := range []int{-1, 1, card.HeaderSize, card.MaxSlotSize + 1} {
		if err := m.Format(t.Context(), size); err == nil {
			t.Errorf("Format(%d) succeeded", size)
		}
	}
	_, err := card.NewStore(m).Load(t.Context())
	if err == nil {
		t.Error("refused formats left a store")
	}
}

// testRanges writes and reads ranges that begin and end everywhere.
func testRanges(t *testing.T, m card.SlotMedium) {
	layout := mustFormat(t, m, slotSize)
	image := [card.Slots][]byte{noise(5, layout.SlotSize), noise(6, layout.SlotSize)}
	for slot := range image {
		if err := m.WriteAt(t.Context(), slot, 0, image[slot]); err != nil {
			t.Fatal(err)
		}
	}
	for i, r := range [][2]int{{0, 1}, {1, 300}, {255, 257}, {256, 512}, {4095, 4096}, {2048, 4096}, {17, 17}, {4096, 4096}} {
		slot := i % card.Slots
		patch := noise(uint64(10+i), r[1]-r[0])
		copy(image[slot][r[0]:], patch)
		if err := m.WriteAt(t.Context(), slot, r[0], patch); err != nil {
			t.Fatalf("write %v: %v", r, err)
		}
		back := make([]byte, len(patch))
		if err := m.ReadAt(t.Context(), slot, r[0], back); err != nil || !bytes.Equal(back, patch) {
			t.Fatalf("range %v does not read back: %v", r, err)
		}
	}
	for slot := range image {
		back := make([]byte, layout.SlotSize)
		if err := m.ReadAt(t.Context(), slot, 0, back); err != nil || !bytes.Equal(back, image[slot]) {
			t.Fatalf("slot %d differs from what was written: %v", slot, err)
		}
	}
}

func testBounds(t *testing.T, m card.SlotMedium) {
	layout := mustFormat(t, m, slotSize)
	for _, r := range [][3]int{{-1, 0, 1}, {2, 0, 1}, {0, -1, 1}, {0, layout.SlotSize, 1}, {1, layout.SlotSize - 1, 2}, {0, 0, layout.SlotSize + 1}} {
		if m.ReadAt(t.Context(), r[0], r[1], make([]byte, r[2])) == nil {
			t.Errorf("read of slot %d, offset %d, %d bytes succeeded", r[0], r[1], r[2])
		}
		if m.WriteAt(t.Context(), r[0], r[1], make([]byte, r[2])) == nil {
			t.Errorf("write of slot %d, offset %d, %d bytes succeeded", r[0], r[1], r[2])
		}
	}
}
