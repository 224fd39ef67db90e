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
	const want = "52504f42" + "01000000" + "0102030405060708" + "00000003" + "00000000" +
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" +
		"5066cf9556ba11c44b064d60730bbc5b"
	got := hex.EncodeToString(newHeader(0x0102030405060708, []byte("abc")).encode())
	if got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func TestHeaderRefused(t *testing.T) {
	good := newHeader(5, []byte("abc"))
	if h, err := parseHeader(good.encode(), 3); err != nil || h != good {
		t.Fatalf("got %+v, %v", h, err)
	}
	if _, err := parseHeader(good.encode(), 2); err == nil {
		t.Error("body larger than the slot was accepted")
	}
	for off := range HeaderSize {
		b := good.encode()
		b[off] ^= 1
		if _, err := parseHeader(b, 100); err == nil {
			t.Errorf("changed byte %d was accepted", off)
		}
		// Not even with a digest that fits: magic, version and reserved bytes count.
		reserved := off < offGeneration || off >= offLength+4 && off < offDigest
		copy(b[offHeaderDigest:], shortDigest(b[:offHeaderDigest]))
		if _, err := parseHeader(b, 100); reserved && err == nil {
			t.Errorf("changed fixed byte %d was accepted", off)
		}
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add(newHeader(1, []byte("abc")).encode(), 1000)
	f.Add(make([]byte, HeaderSize), 0)
	f.Add([]byte("RPOB"), 10)
	f.Fuzz(func(t *testing.T, b []byte, capacity int) {
		h, err := parseHeader(b, capacity)
		if err == nil && (!bytes.Equal(h.encode(), b) || h.length > capacity) {
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
	for _, size := range []int{-1, 0, HeaderSize, MaxSlotSize + 1} {
		if _, err := NewLabel(size); err == nil {
			t.Errorf("slots of %d bytes were accepted", size)
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

func TestChanged(t *testing.T) {
	long := strings.Repeat("-", spanGap)
	for _, test := range []struct {
		old, next string
		want      []span
	}{
		{"", "", nil},
		{"abc", "abc", nil},
		{"abc", "ab", nil},
		{"", "abc", []span{{0, 3}}},
		{"ab", "abcd", []span{{2, 4}}},
		{"abc", "xbc", []span{{0, 1}}},
		{"abc", "xbz", []span{{0, 3}}},
		{"a" + long + "b", "x" + long + "y", []span{{0, 1}, {spanGap + 1, spanGap + 2}}},
		{"a" + long[1:] + "b", "x" + long[1:] + "y", []span{{0, spanGap + 1}}},
	} {
		got := changed([]byte(test.old), []byte(test.next))
		if len(got) != len(test.want) {
			t.Errorf("%q to %q: %v, want %v", test.old, test.next, got, test.want)
			continue
		}
		for i := range got {
			if got[i] != test.want[i] {
				t.Errorf("%q to %q: %v, want %v", test.old, test.next, got, test.want)
			}
		}
	}
}

// FuzzChanged checks that writing the ranges makes the old bytes the new ones.
func FuzzChanged(f *testing.F) {
	f.Add([]byte("one"), []byte("two and more"))
	f.Fuzz(func(t *testing.T, old, next []byte) {
		b := make([]byte, max(len(old), len(next)))
		copy(b, old)
		end := -spanGap
		for _, s := range changed(old, next) {
			if s.off >= s.end || s.off-end < spanGap {
				t.Fatalf("range %v comes after %d", s, end)
			}
			end = s.end
			copy(b[s.off:s.end], next[s.off:s.end])
		}
		if !bytes.Equal(b[:len(next)], next) {
			t.Fatalf("%q became %q instead of %q", old, b[:len(next)], next)
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
