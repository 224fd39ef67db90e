package card

import (
	"cmp"
	"slices"

	"github.com/reprovision/reprovision/pkg/card/internal/delta"
)

// segment is a part of a version: a range that the version before has, too, or n
// bytes that are still to be written.
type segment struct {
	extent
	fresh bool // of extent, only n counts
}

// plan says what of a version is where.
type plan struct {
	body     []byte
	segments []segment // in the order of body
}

// sharing plans a body that has in common with base what it can. Where there is a
// table by now, base, of the time before there were any, is not to be relied on.
func sharing(g geometry, base *slotInfo, body []byte) *plan {
	p, off := &plan{body: body}, 0
	if base != nil {
		for _, m := range delta.Matches(base.body, body) {
			p.add(segment{extent{n: m.At - off}, true})
			for _, e := range part(base.extents, m.From, m.N) {
				lost := min(max(g.start()-e.off, 0), e.n)
				p.add(segment{extent{n: lost}, true})
				p.add(segment{extent{e.slot, e.off + lost, e.n - lost}, false})
			}
			off = m.At + m.N
		}
	}
	p.add(segment{extent{n: len(body) - off}, true})
	return p
}

// add appends a segment, as a part of the last one where they belong together.
func (p *plan) add(s segment) {
	if s.n == 0 {
		return
	}
	if k := len(p.segments) - 1; k >= 0 {
		last := &p.segments[k]
		if s.fresh && last.fresh || !s.fresh && !last.fresh && last.meets(s.extent) {
			last.n += s.n
			return
		}
	}
	p.segments = append(p.segments, s)
}

// renew makes those segments fresh that choose says.
func (p *plan) renew(choose func(i int, s segment) bool) {
	before := p.segments
	p.segments = nil
	for i, s := range before {
		s.fresh = s.fresh || choose(i, s)
		p.add(s)
	}
}

// limit writes anew what is shared in neighbouring segments until there are few
// enough, where that costs least.
func (p *plan) limit(count int) {
	for excess := len(p.segments) - count; excess > 0; excess = len(p.segments) - count {
		costs := p.costs()
		order := make([]int, len(costs))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(costs[a], costs[b]) })
		chosen := make([]bool, len(p.segments)+1)
		for _, i := range order {
			if excess > 0 && !chosen[i] && !chosen[i+1] {
				chosen[i], chosen[i+1] = true, true
				excess--
			}
		}
		p.renew(func(i int, _ segment) bool { return chosen[i] })
	}
}

// costs gives, for each segment but the last, the bytes to write that make it one
// with the next.
func (p *plan) costs() []int {
	var list []int
	for i, s := range p.segments[:len(p.segments)-1] {
		cost := 0
		for _, s := range []segment{s, p.segments[i+1]} {
			if !s.fresh {
				cost += s.n
			}
		}
		list = append(list, cost)
	}
	return list
}

// shared lists the extents that the plan takes over.
func (p *plan) shared() []extent {
	var list []extent
	for _, s := range p.segments {
		if !s.fresh {
			list = append(list, s.extent)
		}
	}
	return list
}

// fresh is the number of bytes to write.
func (p *plan) fresh() int {
	n := 0
	for _, s := range p.segments {
		if s.fresh {
			n += s.n
		}
	}
	return n
}

// patch is what is to be written somewhere.
type patch struct {
	extent
	data []byte
}

// layout says where the whole version lies then, and what is to be written.
type layout struct {
	extents []extent
	patches []patch
}

// place finds places in holes, which have room for all, for what is fresh.
func (p *plan) place(holes []extent) layout {
	var l layout
	holes = slices.Clone(holes)
	off := 0
	for _, s := range p.segments {
		for left := s.n; s.fresh && left > 0; {
			k := l.choose(holes, left)
			e := holes[k]
			e.n = min(e.n, left)
			holes[k].off, holes[k].n = e.end(), holes[k].n-e.n
			l.add(e)
			l.patches = append(l.patches, patch{e, p.body[off : off+e.n]})
			off, left = off+e.n, left-e.n
		}
		if !s.fresh {
			l.add(s.extent)
			off += s.n
		}
	}
	return l
}

// choose picks the hole for n bytes: where the version goes on, else the first
// that takes all, else the largest.
func (l *layout) choose(holes []extent, n int) int {
	first, largest := -1, 0
	for i, h := range holes {
		if h.n >= min(n, entryShare) && h.n > 0 && len(l.extents) > 0 && l.extents[len(l.extents)-1].meets(h) {
			return i
		}
		if first < 0 && h.n >= n {
			first = i
		}
		if h.n > holes[largest].n {
			largest = i
		}
	}
	if first >= 0 {
		return first
	}
	return largest
}

func (l *layout) add(e extent) {
	if k := len(l.extents) - 1; k >= 0 && l.extents[k].meets(e) {
		l.extents[k].n += e.n
		return
	}
	l.extents = append(l.extents, e)
}

// joined gives the patches in the order of their places, those that meet as one.
func (l *layout) joined() []patch {
	var list []patch
	for _, p := range slices.SortedFunc(slices.Values(l.patches), func(a, b patch) int { return compareExtents(a.extent, b.extent) }) {
		if k := len(list) - 1; k >= 0 && list[k].meets(p.extent) {
			list[k].n, list[k].data = list[k].n+p.n, append(slices.Clip(list[k].data), p.data...)
			continue
		}
		list = append(list, p)
	}
	return list
}
