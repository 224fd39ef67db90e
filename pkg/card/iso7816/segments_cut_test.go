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

// TestCutAroundSegments pulls the card at every SELECT and UPDATE BINARY of a
// commit that changes bytes on both sides of each border, and at the commands
// next to them.
func TestCutAroundSegments(t *testing.T) {
	for name, action := range map[string]virtual.Action{
		"before": virtual.PullFirst, "after": virtual.PullAfter, "torn": virtual.Tear,
	} {
		t.Run(name, func(t *testing.T) { cutAroundSegments(t, action) })
	}
}

func cutAroundSegments(t *testing.T, action virtual.Action) {
	const size = 2*iso7816.MaxSegmentSize + 3000
	c := newLarge(t, 2*size+2000, virtual.Quirks{})
	m := open(t, c)
	layout := format(t, m, size)
	data, generation, cuts := noise(0, layout.Capacity()), uint64(2), 0
	for g := uint64(1); g <= generation; g++ {
		if err := card.NewStore(m).Commit(t.Context(), g, data); err != nil {
			t.Fatal(err)
		}
	}
	for n := 1; ; n++ {
		next := crossing(data, uint64(n))
		var instructions []byte
		fault := virtual.FaultAt(n, action)
		c.Reset()
		c.SetHook(func(i int, apdu []byte) virtual.Action {
			instructions = append(instructions, apdu[1])
			return fault(i, apdu)
		})
		err := workload(t.Context(), c, next)
		cuts++
		object, loaded := card.NewStore(open(t, c)).Load(t.Context())
		if loaded != nil {
			t.Fatalf("APDU %d: %v", n, loaded)
		}
		if object.Generation == generation+1 {
			data, generation = next, generation+1
		} else if err == nil {
			t.Fatalf("APDU %d: commit succeeded and is gone", n)
		}
		if object.Generation != generation || !bytes.Equal(object.Data, data) {
			t.Fatalf("APDU %d: generation %d loaded, %d expected", n, object.Generation, generation)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, card.ErrRemoved) {
			t.Fatalf("APDU %d: %v", n, err)
		}
		n = interesting(t, c, next, n)
	}
	if cuts < 20 {
		t.Fatalf("the card was pulled only %d times", cuts)
	}
}

// crossing is data with bytes changed around each border of segments.
func crossing(data []byte, seed uint64) []byte {
	p := bytes.Clone(data)
	for at := border; at < len(p); at += iso7816.MaxSegmentSize {
		copy(p[at-150:], noise(seed+1, 300))
	}
	return p
}

// interesting is the APDU before the next one worth a pull after the nth: reads
// that follow a read and precede one are skipped. It looks at a copy of the card.
func interesting(t *testing.T, c *virtual.Card, next []byte, n int) int {
	t.Helper()
	double, err := virtual.New(virtual.Options{Capacity: 1 << 20, Files: c.Files()})
	if err != nil {
		t.Fatal(err)
	}
	var instructions []byte
	double.SetHook(trace(&instructions))
	if err := workload(t.Context(), double, next); err != nil {
		t.Fatal(err)
	}
	notable := func(i int) bool { // the ith, from 1
		return i < 1 || i > len(instructions) || instructions[i-1] == insSelect || instructions[i-1] == insUpdate
	}
	for !notable(n) && !notable(n+1) && !notable(n+2) {
		n++
	}
	return n
}

// TestCutFormatOfSegments cuts the format of a card that holds several segments
// at every APDU. Until the label is voided the old version is there, after that
// the card is unformatted; the next format finds all the room again.
func TestCutFormatOfSegments(t *testing.T) {
	const capacity = 150_000
	whole := newLarge(t, capacity, virtual.Quirks{})
	layout := format(t, open(t, whole), 0)
	slotSize := layout.SlotSize
	if slotSize <= 2*iso7816.MaxSegmentSize {
		t.Fatalf("slots of %d bytes", slotSize)
	}
	data := noise(1, layout.Capacity())
	if err := card.NewStore(open(t, whole)).Commit(t.Context(), 1, data); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 4096} {
		for n, voided := 1, false; ; n++ {
			c, err := virtual.New(virtual.Options{Capacity: capacity, Files: whole.Files()})
			if err != nil {
				t.Fatal(err)
			}
			m := open(t, c)
			c.SetHook(virtual.FaultAt(n, virtual.PullAfter))
			err = m.Format(t.Context(), size)
			again := open(t, c)
			object, loaded := card.NewStore(again).Load(t.Context())
			switch {
			case loaded == nil && !voided && err != nil && bytes.Equal(object.Data, data):
			case errors.Is(loaded, card.ErrUnformatted):
				voided = true
			case voided && errors.Is(loaded, card.ErrBlank):
			default:
				t.Fatalf("APDU %d: %v, then %v", n, err, loaded)
			}
			if got := format(t, again, 0).SlotSize; got != slotSize {
				t.Fatalf("APDU %d: slots of %d bytes afterwards instead of %d", n, got, slotSize)
			}
			if !reflect.DeepEqual(c.Files()[:len(foreign())], foreign()) {
				t.Fatalf("APDU %d: foreign objects were touched", n)
			}
			if err == nil {
				break
			}
		}
	}
}
