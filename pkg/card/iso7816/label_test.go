package iso7816

import (
	"bytes"
	"errors"
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
)

func made(t testing.TB, slotSize int) label {
	t.Helper()
	l, err := card.NewLabel(slotSize)
	if err != nil {
		t.Fatal(err)
	}
	return spread(l)
}

// TestLabel checks that labels of all sizes read back, and that a slot of one
// segment has the label it always had.
func TestLabel(t *testing.T) {
	for size, segments := range map[int]int{
		card.MinSlotSize: 1, 4096: 1, MaxSegmentSize: 1, MaxSegmentSize + 1: 2,
		2 * MaxSegmentSize: 2, 100_000: 4, MaxSlotSize: MaxSegments,
	} {
		l := made(t, size)
		b := l.encode()
		if back, err := parseLabel(b); err != nil || back != l || back.segments != segments {
			t.Errorf("%d bytes: %+v reads back as %+v, %v", size, l, back, err)
		}
		if plain := bytes.Equal(b, l.Label.Encode()); plain != (segments == 1) {
			t.Errorf("%d bytes: label % x", size, b)
		}
	}
}

func TestLabelOfOtherSegments(t *testing.T) {
	l := made(t, 100_000)
	l.segments, l.segmentSize = 5, 20_000
	if back, err := parseLabel(l.encode()); err != nil || back != l {
		t.Fatalf("%+v reads back as %+v, %v", l, back, err)
	}
}

func TestBadLabel(t *testing.T) {
	good := made(t, 100_000)
	for name, spoil := range map[string]func(l *label) []byte{
		"version 1, too large": func(l *label) []byte { return l.Label.Encode() },
		"too few segments":     func(l *label) []byte { l.segments = 3; return l.encode() },
		"too many segments":    func(l *label) []byte { l.segments = 5; return l.encode() },
		"no segment size":      func(l *label) []byte { l.segmentSize = 0; return l.encode() },
		"large segments":       func(l *label) []byte { l.segmentSize, l.segments = 50_000, 2; return l.encode() },
		"33 segments":          func(l *label) []byte { l.segmentSize, l.segments, l.SlotSize = 4096, 33, 33*4096; return l.encode() },
		"small segments":       func(l *label) []byte { l.segmentSize, l.segments, l.SlotSize = 72, 2, 100; return l.encode() },
		"slot too large":       func(l *label) []byte { l.segments, l.SlotSize = 0, card.MaxSlotSize+1; return l.encode() },
		"version 3":            func(l *label) []byte { b := l.encode(); b[offVersion] = 3; sealLabel(b); return b },
		"one segment": func(l *label) []byte {
			l.segmentSize, l.SlotSize, l.segments = 4096, 4096, 2
			b := l.encode()
			b[offSegments] = 1
			sealLabel(b)
			return b
		},
		"digest": func(l *label) []byte { b := l.encode(); b[card.LabelSize-1] ^= 1; return b },
		"short":  func(l *label) []byte { return l.encode()[:card.LabelSize-1] },
		"none":   func(*label) []byte { return nil },
	} {
		l := good
		if got, err := parseLabel(spoil(&l)); !errors.Is(err, card.ErrBadLabel) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func FuzzParseLabel(f *testing.F) {
	f.Add(made(f, 4096).encode(), false)
	f.Add(made(f, 100_000).encode(), false)
	f.Add(made(f, MaxSlotSize).encode(), true)
	f.Fuzz(func(t *testing.T, b []byte, seal bool) {
		if seal && len(b) == card.LabelSize {
			sealLabel(b)
		}
		l, err := parseLabel(b)
		if err != nil {
			return
		}
		if !bytes.Equal(l.encode(), b) || l.SlotSize <= card.HeaderSize || l.SlotSize > MaxSlotSize ||
			l.segmentSize > MaxSegmentSize || segmentsOf(l.SlotSize, l.segmentSize) != l.segments || l.segments > MaxSegments {
			t.Fatalf("% x was taken for %+v", b, l)
		}
	})
}
