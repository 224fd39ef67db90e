package piv

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// FuzzHeader parses any header. What it takes must be what encode makes.
func FuzzHeader(f *testing.F) {
	h := &header{shape: shape{objects: 0x3F, slotSize: 100, payload: 200}, sequence: 3, generation: 2}
	f.Add(h.encode())
	h.extents = []extent{{2, 0, 10}, {5, 7, 8}}
	f.Add(h.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, candidate := range [][]byte{b, append(bytes.Clone(b), digest16(b)...)} { // as the digest is hard to guess
			h, err := parseHeader(candidate)
			if err != nil {
				continue
			}
			if !bytes.Equal(h.encode(), candidate) || h.length() > h.capacity() || len(h.extents) > maxExtents || len(h.data()) < 2 {
				t.Fatalf("%+v from %x", h, candidate)
			}
		}
	})
}

// FuzzContent judges any answer to GET DATA.
func FuzzContent(f *testing.F) {
	f.Add(appendTLV(nil, tagValue, wrap(magicData, []byte("abc"))))
	f.Add([]byte{0x53, 0x82, 0, 5, 0xC1, 0x81, 0x02})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if c := parseContent(raw); len(c.data) > len(raw) {
			t.Fatalf("%+v", c)
		}
		_, _ = findTLV(raw, tagOurs)
		_, _ = parsePoint(raw)
		_, _ = keyOf(raw)
	})
}

// TestTornContent checks that whatever a torn write leaves of an object of ours
// is seen as ours, if anything of use is left.
func TestTornContent(t *testing.T) {
	contents := wrap(magicHeader, make([]byte, 300))
	for n := range contents {
		raw := appendTLV(nil, tagValue, contents[:n])
		if c := parseContent(raw); c.kind == foreign {
			t.Fatalf("%d bytes count as foreign", n)
		}
	}
	for _, other := range []string{"\x70\x82\x01", "\xC1\x04XPPD", "RPPD", "\x00"} {
		if c := parseContent(appendTLV(nil, tagValue, []byte(other))); c.kind != foreign {
			t.Errorf("%x counts as ours", other)
		}
	}
}

// TestPlans checks that plans give back the bodies that they were made for,
// whatever the versions are like.
func TestPlans(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const payload, count = 300, 12
	h := &header{shape: shape{objects: 1<<(count+2) - 1, slotSize: payload*count/2 + 72, payload: payload}}
	base := &version{header: h}
	memory := map[object][]byte{}
	for round := range 1000 {
		body := changed(random, base.body, h.capacity())
		p := newPlan(base, body, payload)
		var free []object
		for _, o := range h.data() {
			if base.needed(o) == 0 {
				free = append(free, o)
			}
		}
		p.settle(count, len(free))
		moved := p.need() > len(free)
		if moved {
			if p = compaction(base, payload); p == nil {
				t.Fatalf("round %d: no room, and nothing to move", round)
			}
			body = base.body
		}
		extents, chunks := p.place(free)
		for i, chunk := range chunks {
			memory[free[i]] = chunk
		}
		next := *h
		next.extents, next.generation = extents, 1
		if !bytes.Equal(assembled(extents, memory), body) || len(extents) > maxExtents || !next.valid() {
			t.Fatalf("round %d: %d extents do not give the body of %d bytes", round, len(extents), len(body))
		}
		base = &version{header: &next, body: body}
	}
}

func assembled(extents []extent, memory map[object][]byte) []byte {
	body := []byte{}
	for _, e := range extents {
		body = append(body, memory[e.object][e.off:e.off+e.n]...)
	}
	return body
}

// changed is a version that could come after body.
func changed(random *rand.Rand, body []byte, limit int) []byte {
	next := append([]byte{}, body...)
	for range 1 + random.IntN(3) {
		piece := make([]byte, random.IntN(limit/3))
		for i := range piece {
			piece[i] = byte(random.Uint32())
		}
		at := random.IntN(len(next) + 1)
		switch random.IntN(4) {
		case 0:
			next = append(append(append([]byte{}, next[:at]...), piece...), next[at:]...)
		case 1:
			next = append(append([]byte{}, next[:at]...), next[min(at+len(piece), len(next)):]...)
		case 2:
			copy(next[at:], piece)
		case 3:
			for i := at; i < len(next); i += 40 {
				next[i]++
			}
		}
	}
	return next[:min(len(next), limit)]
}
