package card

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// memory is what two slots hold.
type memory [Slots][]byte

func (m *memory) read(extents []extent) []byte {
	var b []byte
	for _, e := range extents {
		b = append(b, m[e.slot][e.off:e.end()]...)
	}
	return b
}

// apply writes a layout, having checked that it spares what is taken.
func (m *memory) apply(t *testing.T, g geometry, l layout, taken []extent) {
	t.Helper()
	for _, p := range l.joined() {
		if p.off < g.start() || p.end() > g.size || p.n != len(p.data) {
			t.Fatalf("patch %+v is outside of %+v", p.extent, g)
		}
		for _, e := range taken {
			if e.slot == p.slot && e.off < p.end() && p.off < e.end() {
				t.Fatalf("patch %+v overwrites %+v", p.extent, e)
			}
		}
		copy(m[p.slot][p.off:], p.data)
	}
}

// TestLayouts commits long rows of versions to memory, at the limits of what a
// slot holds. Each must be found again, and the one before be spared.
func TestLayouts(t *testing.T) {
	for seed := range uint64(6) {
		random := rand.New(rand.NewPCG(seed, 3))
		g := slotGeometry(600 + int(seed)*1500)
		m := memory{make([]byte, g.size), make([]byte, g.size)}
		var base *slotInfo
		moved := 0
		for round := range 80 {
			data := change(random, base.bytes(), g.capacity())
			l := arrange(g, base, data)
			for len(l.extents) > g.entries {
				c := compact(g, base)
				if len(c.patches) == 0 || len(c.extents) > g.entries {
					t.Fatalf("seed %d, round %d: no room: %d extents, %d of base, %d holes", seed, round, len(l.extents), len(base.extents), len(g.holes(base.extents)))
				}
				m.apply(t, g, c, base.taken())
				base = &slotInfo{extents: c.extents, body: base.body}
				if !bytes.Equal(m.read(c.extents), base.body) {
					t.Fatal("moving changed a version")
				}
				moved++
				l = arrange(g, base, data)
			}
			m.apply(t, g, l, base.taken())
			if !bytes.Equal(m.read(l.extents), data) {
				t.Fatalf("seed %d, round %d: the version is not where it should be", seed, round)
			}
			if base != nil && !bytes.Equal(m.read(base.extents), base.body) {
				t.Fatalf("seed %d, round %d: the version before is lost", seed, round)
			}
			if back, ok := parseTable(encodeTable(l.extents), g, len(data)); !ok || len(back) != len(l.extents) {
				t.Fatalf("seed %d, round %d: the table does not read back", seed, round)
			}
			base = &slotInfo{extents: l.extents, body: data}
		}
		t.Logf("slots of %d bytes with %d entries: moved together %d times", g.size, g.entries, moved)
	}
}

func (i *slotInfo) bytes() []byte {
	if i == nil {
		return nil
	}
	return i.body
}

// change makes a version of another, of at most limit bytes.
func change(random *rand.Rand, body []byte, limit int) []byte {
	next := bytes.Clone(body)
	for range 1 + random.IntN(30) {
		piece := make([]byte, random.IntN(60))
		for i := range piece {
			piece[i] = byte(random.Uint32())
		}
		at := random.IntN(len(next) + 1)
		switch random.IntN(4) {
		case 0:
			next = append(next[:at], next[min(at+len(piece), len(next)):]...)
		case 1:
			copy(next[at:], piece)
		default:
			next = append(append(bytes.Clone(next[:at]), piece...), next[at:]...)
		}
	}
	return next[:min(len(next), limit)]
}

func FuzzTable(f *testing.F) {
	f.Add(encodeTable([]extent{{0, 600, 10}, {1, 700, 3}}), 4096, 13)
	f.Fuzz(func(t *testing.T, b []byte, size, length int) {
		g := slotGeometry(min(max(size, 0), MaxSlotSize))
		extents, ok := parseTable(b, g, length)
		if !ok {
			return
		}
		sum := 0
		for _, e := range extents {
			if e.off < g.start() || e.end() > g.size || e.n <= 0 {
				t.Fatalf("%+v in %+v", e, g)
			}
			sum += e.n
		}
		if sum != length || !bytes.Equal(encodeTable(extents), b[:len(extents)*entrySize]) {
			t.Fatalf("%d bytes of %d", sum, length)
		}
	})
}
