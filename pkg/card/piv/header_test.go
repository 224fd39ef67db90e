package piv

import (
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
)

// example is the header of a version "abc" of which "ab" lies at offset 0x10 of
// object 5FC10F and "c" at the front of 5FC114.
func example() *header {
	h := &header{
		shape:    shape{objects: 0x000FF, slotSize: 1072, payload: 400},
		sequence: 0x0102, generation: 0x0304, digest: sha256.Sum256([]byte("abc")),
		extents: []extent{{2, 0x10, 2}, {7, 0, 1}},
	}
	copy(h.id[:], "0123456789abcdef")
	return h
}

// TestHeaderBytes pins the format of docs/formats-card.md down.
func TestHeaderBytes(t *testing.T) {
	want := strings.ReplaceAll("0100 0002 000000ff 00000430 0190 0000 00000003 0000000000000102 0000000000000304"+
		"30313233343536373839616263646566"+
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"+
		"02 0010 0002 07 0000 0001", " ", "")
	got := example().encode()
	if text := hex.EncodeToString(got[:len(got)-shortDigest]); text != want {
		t.Fatalf("got  %s\nwant %s", text, want)
	}
	sum := sha256.Sum256(append([]byte("RPPV"), got[:len(got)-16]...))
	if string(sum[:16]) != string(got[len(got)-16:]) {
		t.Fatal("the digest is of something else")
	}
	back, err := parseHeader(got)
	if err != nil || !reflect.DeepEqual(back, example()) {
		t.Fatalf("got %+v, %v", back, err)
	}
}

// TestBadHeaders checks that headers which cannot be are refused, well sealed or not.
func TestBadHeaders(t *testing.T) {
	for name, change := range map[string]func(*header){
		"few objects":       func(h *header) { h.objects = 7 },
		"unknown object":    func(h *header) { h.objects |= 1 << 20 },
		"extent in header":  func(h *header) { h.extents[0].object = 1 },
		"extent elsewhere":  func(h *header) { h.extents[0].object = 9 },
		"extent too long":   func(h *header) { h.extents[0].off = 399 },
		"empty extent":      func(h *header) { h.extents[0].n = 0 },
		"version too long":  func(h *header) { h.slotSize = 74 },
		"slots too large":   func(h *header) { h.slotSize = 1273 },
		"no payload":        func(h *header) { h.payload = 0 },
		"bytes, no version": func(h *header) { h.generation = 0 },
	} {
		h := example()
		change(h)
		if _, err := parseHeader(h.encode()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	good := example().encode()
	for i := range good {
		good[i] ^= 1
		if _, err := parseHeader(good); err == nil {
			t.Errorf("byte %d changed: accepted", i)
		}
		good[i] ^= 1
	}
}
