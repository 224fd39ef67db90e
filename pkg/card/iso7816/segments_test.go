package iso7816_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/iso7816"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

// Instructions that the tests look for.
const (
	insSelect = 0xA4
	insUpdate = 0xD6
)

// border is about the offset in a first body where the second segment begins.
const border = iso7816.MaxSegmentSize - card.HeaderSize - 3500

func newLarge(t *testing.T, capacity int, quirks virtual.Quirks) *virtual.Card {
	t.Helper()
	c, err := virtual.New(virtual.Options{Capacity: capacity, Files: foreign(), Quirks: quirks})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if files := c.Files(); !reflect.DeepEqual(files[:len(foreign())], foreign()) {
			t.Error("foreign objects were touched")
		}
	})
	return c
}

func format(t *testing.T, m card.Medium, size int) card.Layout {
	t.Helper()
	if err := m.Format(t.Context(), size); err != nil {
		t.Fatal(err)
	}
	layout, err := m.Layout(t.Context())
	if err != nil || !layout.Formatted {
		t.Fatalf("layout %+v, %v", layout, err)
	}
	return layout
}

// ourSizes are the sizes of our EFs beside the label, by identifier.
func ourSizes(t *testing.T, c *virtual.Card) map[uint16]int {
	t.Helper()
	sizes := map[uint16]int{}
	for _, file := range c.Files() {
		if string(file.Name) == "\xF0reprovision" {
			for _, child := range file.Children {
				sizes[child.FID] = len(child.Data)
			}
		}
	}
	delete(sizes, 0x5200)
	return sizes
}

// trace is a hook that notes the instruction of every command.
func trace(instructions *[]byte) virtual.Hook {
	return func(_ int, apdu []byte) virtual.Action {
		*instructions = append(*instructions, apdu[1])
		return virtual.Answer
	}
}

// TestSegments is the life of 100 kB on a card of 262,144 bytes: committed, 1 kB
// across a border of segments changed, and read back, at little more than the
// cost of the bare transfer.
func TestSegments(t *testing.T) {
	const capacity = 262144
	c := newLarge(t, capacity, virtual.Quirks{})
	layout := format(t, open(t, c), 0)
	if layout.SlotSize < capacity/2-1024 {
		t.Fatalf("slots of %d bytes on a card of %d", layout.SlotSize, capacity)
	}
	data := noise(1, 100<<10)
	for generation := uint64(1); generation <= 3; generation++ {
		if generation == 3 {
			copy(data[border-500:], noise(2, 1000))
		}
		before := c.Counts().Written
		if err := card.NewStore(open(t, c)).Commit(t.Context(), generation, data); err != nil {
			t.Fatal(err)
		}
		if written := c.Counts().Written - before; generation == 3 && written > 1000+card.HeaderSize+3*7 {
			t.Errorf("%d bytes written for a change of 1000", written)
		}
	}
	c.Reset()
	var instructions []byte
	c.SetHook(trace(&instructions))
	m, err := iso7816.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	object, err := card.NewStore(m).Load(t.Context())
	if err != nil || object.Generation != 3 || !bytes.Equal(object.Data, data) {
		t.Fatalf("generation %d with %d bytes, %v", object.Generation, len(object.Data), err)
	}
	if bare := (len(data) + 255) / 256; float64(len(instructions)) > 1.15*float64(bare) {
		t.Errorf("a load took %d APDUs, the bare transfer %d", len(instructions), bare)
	}
	// Our DF, the label, both headers, the first slot's first segment again, and
	// its three others.
	if n := bytes.Count(instructions, []byte{insSelect}); n > 2+2+1+3 {
		t.Errorf("a load took %d SELECTs", n)
	}
}

// TestRangesAcrossSegments writes and reads ranges around all borders.
func TestRangesAcrossSegments(t *testing.T) {
	const size = 3*iso7816.MaxSegmentSize + 1
	c := newLarge(t, 2*size+2000, virtual.Quirks{})
	m := open(t, c).(card.SlotMedium)
	if got := format(t, m, size).SlotSize; got != size {
		t.Fatalf("slots of %d bytes instead of %d", got, size)
	}
	if len(ourSizes(t, c)) != 8 {
		t.Fatalf("files %v", ourSizes(t, c))
	}
	image := [card.Slots][]byte{noise(1, size), noise(2, size)}
	write := func(slot, from, to int) {
		t.Helper()
		if err := m.WriteAt(t.Context(), slot, from, image[slot][from:to]); err != nil {
			t.Fatal(err)
		}
	}
	for slot := range image {
		write(slot, 0, size)
		for segment := 1; segment <= 3; segment++ {
			at := segment * iso7816.MaxSegmentSize
			for _, r := range [][2]int{{at - 1, at}, {at, at + 1}, {at - 1, at + 1}, {at - 300, min(at+300, size)}, {10, size}, {at, at}} {
				copy(image[slot][r[0]:r[1]], noise(uint64(at), r[1]-r[0]))
				write(slot, r[0], r[1])
				back := make([]byte, r[1]-r[0])
				if err := m.ReadAt(t.Context(), slot, r[0], back); err != nil || !bytes.Equal(back, image[slot][r[0]:r[1]]) {
					t.Fatalf("slot %d, range %v does not read back: %v", slot, r, err)
				}
			}
		}
	}
	m = open(t, c).(card.SlotMedium)
	for slot := range image {
		back := make([]byte, size)
		if err := m.ReadAt(t.Context(), slot, 0, back); err != nil || !bytes.Equal(back, image[slot]) {
			t.Fatalf("slot %d differs from what was written: %v", slot, err)
		}
		if m.ReadAt(t.Context(), slot, size, back[:1]) == nil || m.WriteAt(t.Context(), slot, size-1, back[:2]) == nil {
			t.Fatalf("slot %d reaches beyond its end", slot)
		}
	}
}

// TestFormatSizes checks what Format makes of cards with more and less room.
func TestFormatSizes(t *testing.T) {
	for _, test := range []struct{ capacity, files int }{
		{2000, 2}, {capacity, 2}, {60_000, 2}, {66_500, 2}, {virtual.DefaultCapacity, 4}, {262144, 8}, {4 << 20, 2 * iso7816.MaxSegments},
	} {
		c := newLarge(t, test.capacity, virtual.Quirks{})
		layout := format(t, open(t, c), 0)
		sizes, total := ourSizes(t, c), 0
		for _, size := range sizes {
			total += size
		}
		if len(sizes) != test.files || total != 2*layout.SlotSize || sizes[0x5201] != min(layout.SlotSize, iso7816.MaxSegmentSize) {
			t.Errorf("capacity %d: files %v, slots of %d bytes", test.capacity, sizes, layout.SlotSize)
		}
		if err := card.NewStore(open(t, c)).Commit(t.Context(), 1, noise(1, layout.Capacity())); err != nil {
			t.Errorf("capacity %d: %v", test.capacity, err)
		}
	}
}

// TestFormatSmaller checks that a smaller format leaves nothing of a larger one,
// and that a slot that does not fit leaves the card unformatted.
func TestFormatSmaller(t *testing.T) {
	c := newLarge(t, 262144, virtual.Quirks{})
	m := open(t, c)
	format(t, m, 100_000)
	format(t, m, 4096)
	if sizes := ourSizes(t, c); !reflect.DeepEqual(sizes, map[uint16]int{0x5201: 4096, 0x5202: 4096}) {
		t.Errorf("files %v", sizes)
	}
	if err := m.Format(t.Context(), 140_000); !errors.Is(err, card.ErrFull) {
		t.Errorf("slots larger than the card: %v", err)
	}
	if _, err := card.NewStore(open(t, c)).Load(t.Context()); !errors.Is(err, card.ErrUnformatted) {
		t.Errorf("after a format that failed: %v", err)
	}
	if err := m.Format(t.Context(), iso7816.MaxSlotSize+1); err == nil {
		t.Error("a slot of too many segments was made")
	}
}

// TestSegmentsOfQuirks fills slots of several segments on every kind of card,
// formatted twice.
func TestSegmentsOfQuirks(t *testing.T) {
	for name, q := range quirks() {
		t.Run(name, func(t *testing.T) {
			c := newLarge(t, 150_000, q)
			m := open(t, c)
			format(t, m, 0)
			layout := format(t, m, 0)
			if layout.SlotSize <= iso7816.MaxSegmentSize {
				t.Fatalf("slots of %d bytes", layout.SlotSize)
			}
			if _, err := card.NewStore(m).Load(t.Context()); !errors.Is(err, card.ErrBlank) {
				t.Fatalf("after formatting: %v", err)
			}
			data := noise(1, layout.Capacity())
			if err := errors.Join(card.NewStore(m).Commit(t.Context(), 1, data), card.NewStore(m).Commit(t.Context(), 2, data[1:])); err != nil {
				t.Fatal(err)
			}
			object, err := card.NewStore(open(t, c)).Load(t.Context())
			if err != nil || object.Generation != 2 || !bytes.Equal(object.Data, data[1:]) {
				t.Fatalf("generation %d with %d bytes, %v", object.Generation, len(object.Data), err)
			}
		})
	}
}

// TestSelects checks that a file is selected once for all that is read or
// written of it in a row: changes in many places of each of four segments.
func TestSelects(t *testing.T) {
	c := newLarge(t, 262144, virtual.Quirks{})
	m := open(t, c)
	format(t, m, 120_000)
	data := noise(1, 110_000)
	for generation := uint64(1); generation <= 2; generation++ {
		if err := card.NewStore(m).Commit(t.Context(), generation, data); err != nil {
			t.Fatal(err)
		}
	}
	for at := 500; at < len(data); at += 1000 {
		data[at] ^= 1
	}
	var instructions []byte
	c.SetHook(trace(&instructions))
	if err := card.NewStore(m).Commit(t.Context(), 3, data); err != nil {
		t.Fatal(err)
	}
	// Both headers, a table, four segments read, one or two written, the header.
	if n := bytes.Count(instructions, []byte{insSelect}); n > 2+1+4+2+1 {
		t.Errorf("a commit took %d SELECTs", n)
	}
	// The changes in a row, the table with 7 bytes for each piece, the header.
	if n := bytes.Count(instructions, []byte{insUpdate}); n > 1+(221*7+254)/255+1 {
		t.Errorf("a commit took %d UPDATEs", n)
	}
}
