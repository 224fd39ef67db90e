package card

import (
	"cmp"
	"slices"
)

// Entries of a table, of entrySize bytes each: slot (1), offset in it and
// length (3 each).
const (
	entrySize   = 7
	entryShare  = 64 // a slot has one entry for so many bytes, up to fewEntries,
	fewEntries  = 96
	entryShares = 256 // and one for so many, up to maxEntries
	maxEntries  = 1024
)

// extent is a range of bytes in one of the slots. Offsets count from the slot's
// beginning, its header included.
type extent struct{ slot, off, n int }

func (e extent) end() int { return e.off + e.n }

// meets tells whether next follows e without a gap.
func (e extent) meets(next extent) bool { return e.slot == next.slot && e.end() == next.off }

// holds tells whether other lies in e.
func (e extent) holds(other extent) bool {
	return e.slot == other.slot && e.off <= other.off && other.end() <= e.end()
}

func compareExtents(a, b extent) int {
	return cmp.Or(cmp.Compare(a.slot, b.slot), cmp.Compare(a.off, b.off))
}

// geometry says how a slot is divided: header, table, and bytes of bodies.
type geometry struct{ size, entries int }

// slotGeometry divides slots of size bytes.
func slotGeometry(size int) geometry {
	room := max(size-HeaderSize, 0)
	return geometry{size: size, entries: max(min(room/entryShare, fewEntries), min(room/entryShares, maxEntries))}
}

// start is the offset of the first byte that is for bodies.
func (g geometry) start() int { return HeaderSize + g.entries*entrySize }

// capacity is the number of bytes that a body may have. A slot that has room for
// a few entries only has none for data.
func (g geometry) capacity() int {
	if g.entries < 4 {
		return 0
	}
	return g.size - g.start()
}

// encodeTable writes what the header's count counts.
func encodeTable(extents []extent) []byte {
	var b []byte
	for _, e := range extents {
		b = append(b, byte(e.slot), byte(e.off>>16), byte(e.off>>8), byte(e.off), byte(e.n>>16), byte(e.n>>8), byte(e.n))
	}
	return b
}

// parseTable reads a table for a body of length bytes. Whether its extents are
// those that were written is told by the digest of the body.
func parseTable(b []byte, g geometry, length int) ([]extent, bool) {
	var extents []extent
	for ; len(b) >= entrySize; b = b[entrySize:] {
		e := extent{int(b[0]), int(b[1])<<16 | int(b[2])<<8 | int(b[3]), int(b[4])<<16 | int(b[5])<<8 | int(b[6])}
		if e.slot >= Slots || e.off < g.start() || e.n == 0 || e.end() > g.size {
			return nil, false
		}
		extents = append(extents, e)
		length -= e.n
	}
	return extents, length == 0
}

// part gives the extents of a range of a body.
func part(extents []extent, from, n int) []extent {
	var list []extent
	for _, e := range extents {
		skip := min(from, e.n)
		from -= skip
		e.off, e.n = e.off+skip, min(e.n-skip, n)
		if e.n > 0 {
			list = append(list, e)
			n -= e.n
		}
	}
	return list
}

// runs gives the ranges that extents take, in order. Those that overlap, or are
// less than gap bytes apart, are one.
func runs(extents []extent, gap int) []extent {
	var list []extent
	for _, e := range slices.SortedFunc(slices.Values(extents), compareExtents) {
		if k := len(list) - 1; k >= 0 && list[k].slot == e.slot && e.off-list[k].end() < max(gap, 1) {
			list[k].n = max(list[k].end(), e.end()) - list[k].off
			continue
		}
		list = append(list, e)
	}
	return list
}

// sizeOf is the number of bytes in extents, those that overlap counted twice.
func sizeOf(extents []extent) int {
	n := 0
	for _, e := range extents {
		n += e.n
	}
	return n
}

// holes gives what extents leave free of both slots' room for bodies, in order.
func (g geometry) holes(extents []extent) []extent { return g.gaps(extents, g.start()) }

// gaps gives what extents leave free of both slots, from an offset on, in order.
func (g geometry) gaps(extents []extent, from int) []extent {
	var list []extent
	taken := runs(extents, 0)
	for slot := range Slots {
		at := from
		for _, e := range taken {
			if e.slot != slot {
				continue
			}
			if e.off > at {
				list = append(list, extent{slot, at, e.off - at})
			}
			at = max(at, e.end())
		}
		if at < g.size {
			list = append(list, extent{slot, at, g.size - at})
		}
	}
	return list
}
