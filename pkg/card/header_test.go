package card

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// TestHeaderBytes pins the format of docs/formats-card.md down.
func TestHeaderBytes(t *testing.T) {
	const want = "52504f42" + "02000002" + "0102030405060708" + "00000003" + "00000000" +
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" +
		"8696ae0417d201314bd23ca798d2109c"
	got := hex.EncodeToString(newHeader(version{0x0102030405060708, []byte("abc"), false}, 2).encode())
	if got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func TestHeaderRefused(t *testing.T) {
	for _, g := range []geometry{{size: 300, entries: 0}, {size: HeaderSize + 2, entries: 5}, slotGeometry(4096)} {
		for format, count := range map[byte]int{headerLinear: 0, headerSpread: 3} {
			good := newHeader(version{5, []byte("abc"), false}, count)
			good.version = format
			fits := format == headerLinear && g.size >= HeaderSize+3 || format == headerSpread && g.size == 4096
			if h, err := parseHeader(good.encode(), g); (err == nil) != fits || fits && h != good {
				t.Fatalf("version %d in %+v: got %+v, %v", format, g, h, err)
			}
			if fits {
				refuseChanges(t, good, g)
			}
		}
	}
	for _, h := range []header{newHeader(version{1, nil, false}, 1), newHeader(version{1, []byte("abc"), false}, 0), newHeader(version{1, []byte("abc"), false}, maxEntries+1)} {
		if _, err := parseHeader(h.encode(), slotGeometry(MaxSlotSize)); err == nil {
			t.Errorf("%d entries for %d bytes were accepted", h.count, h.length)
		}
	}
}

// refuseChanges changes every byte of a header that is accepted.
func refuseChanges(t *testing.T, good header, g geometry) {
	for off := range HeaderSize {
		b := good.encode()
		b[off] ^= 1
		if _, err := parseHeader(b, g); err == nil {
			t.Errorf("changed byte %d was accepted", off)
		}
		// Not even with a digest that fits: magic, version and reserved bytes count.
		reserved := off <= offVersion || off == offTraces && good.version == headerLinear || off >= offLength+4 && off < offDigest
		copy(b[offHeaderDigest:], shortDigest(b[:offHeaderDigest]))
		if _, err := parseHeader(b, g); reserved && err == nil {
			t.Errorf("changed fixed byte %d was accepted", off)
		}
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add(newHeader(version{1, []byte("abc"), false}, 1).encode(), 1000)
	f.Add(make([]byte, HeaderSize), 0)
	f.Add([]byte("RPOB"), 10)
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		h, err := parseHeader(b, slotGeometry(size))
		if err == nil && (!bytes.Equal(h.encode(), b) || h.length > size-HeaderSize) {
			t.Fatalf("%x was accepted as %+v", b, h)
		}
	})
}

func TestLabel(t *testing.T) {
	label, err := NewLabel(4096)
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewLabel(4096)
	if err != nil || other == label {
		t.Fatalf("two labels are the same, or %v", err)
	}
	b := label.Encode()
	if back, err := ParseLabel(b); err != nil || back != label {
		t.Fatalf("got %+v, %v", back, err)
	}
	if !strings.HasPrefix(hex.EncodeToString(b), "52504c42"+"01000000"+"00001000"+label.String()) {
		t.Fatalf("label has bytes %x", b)
	}
	for _, size := range []int{-1, 0, HeaderSize, MinSlotSize - 1, MaxSlotSize + 1} {
		if _, err := NewLabel(size); err == nil {
			t.Errorf("slots of %d bytes were accepted", size)
		}
		if size == MinSlotSize-1 {
			continue // such cards were made once
		}
		if _, err := ParseLabel((Label{SlotSize: size}).Encode()); !errors.Is(err, ErrBadLabel) {
			t.Errorf("label for slots of %d bytes: %v", size, err)
		}
	}
}

func FuzzParseLabel(f *testing.F) {
	f.Add(Label{SlotSize: 4096}.Encode())
	f.Add(make([]byte, LabelSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseLabel(b)
		if err == nil && (!bytes.Equal(l.Encode(), b) || l.SlotSize <= HeaderSize || l.SlotSize > MaxSlotSize) {
			t.Fatalf("%x was accepted as %+v", b, l)
		}
	})
}

func TestWords(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{SlotBlank.String(), "blank"}, {SlotWhole.String(), "whole"}, {SlotDamaged.String(), "damaged"},
		{EventInserted.String(), "inserted"}, {EventRemoved.String(), "removed"}, {EventUnavailable.String(), "unavailable"},
		{EventKind(0).String(), "unknown"}, {(&FullError{Need: 3, Have: 2}).Error(), "card full: 3 bytes needed, 2 available"},
	} {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}
