package piv

import (
	"cmp"
	"slices"

	"github.com/reprovision/reprovision/pkg/card/internal/delta"
)

// Limits of a plan.
const (
	// softExtents is the number of entries in a header that a change may lead
	// to. The difference to maxExtents is for moving things about.
	softExtents = 64

	// tidyBudget is the number of bytes in PUT DATA up to which a commit also
	// writes anew what would otherwise leave bytes that are read in vain.
	tidyBudget = 3000

	// tidyShare allows a large commit so much more than it must write: a quarter.
	tidyShare = 4
)

// segment is a part of a version: a range of an object that another version has,
// too, or bytes that are still to be written.
type segment struct {
	extent
	fresh bool // to be written: of extent, only n counts
}

// plan says what of a version is where.
type plan struct {
	body     []byte
	payload  int
	traces   bool      // what is outside the version is void
	segments []segment // in the order of body
}

// newPlan shares with base, which may be nil, what body has in common with it.
func newPlan(base *version, body []byte, payload int) *plan {
	p := &plan{body: body, payload: payload}
	off := 0
	if base != nil {
		for _, m := range delta.Matches(base.body, body) {
			p.add(segment{extent{n: m.At - off}, true})
			for _, e := range base.part(m.From, m.N) {
				p.add(segment{e, false})
			}
			off = m.At + m.N
		}
	}
	p.add(segment{extent{n: len(body) - off}, true})
	p.limit(softExtents)
	return p
}

// part gives the extents of a range of a version.
func (h *header) part(from, n int) []extent {
	var list []extent
	for _, e := range h.extents {
		if skip := min(from, e.n); skip > 0 {
			from -= skip
			e.off, e.n = e.off+skip, e.n-skip
		}
		if e.n = min(e.n, n); e.n > 0 {
			list = append(list, e)
			n -= e.n
		}
	}
	return list
}

// add appends a segment, as a part of the last one where they belong together.
func (p *plan) add(s segment) {
	if s.n == 0 {
		return
	}
	if k := len(p.segments); k > 0 {
		last := &p.segments[k-1]
		if s.fresh && last.fresh || !s.fresh && !last.fresh && s.object == last.object && s.off == last.off+last.n {
			last.n += s.n
			return
		}
	}
	p.segments = append(p.segments, s)
}

// change replaces every shared segment by what split makes of it.
func (p *plan) change(split func(segment) []segment) {
	before := p.segments
	p.segments = nil
	for _, s := range before {
		if s.fresh {
			p.add(s)
			continue
		}
		for _, part := range split(s) {
			p.add(part)
		}
	}
}

// limit writes the shortest shared segments anew until there are few enough.
func (p *plan) limit(count int) {
	for len(p.segments) > count {
		shortest := 0
		for _, s := range p.segments {
			if !s.fresh && (shortest == 0 || s.n < shortest) {
				shortest = s.n
			}
		}
		p.change(func(s segment) []segment {
			s.fresh = s.n == shortest
			return []segment{s}
		})
	}
}

// evict writes anew at most n bytes of those that an object still has.
func (p *plan) evict(o object, n int) {
	p.change(func(s segment) []segment {
		if s.object != o {
			return []segment{s}
		}
		moved, rest := s, s
		moved.fresh, moved.n = true, min(s.n, n)
		rest.off, rest.n = s.off+moved.n, s.n-moved.n
		n -= moved.n
		return []segment{moved, rest}
	})
}

// use is what a version has of an object.
type use struct {
	object object
	live   int      // bytes
	reach  int      // offset behind the last of them: so much has to be read
	runs   []extent // in the order of their offsets
}

// shared lists the objects that the plan shares, those with the fewest bytes first.
func (p *plan) shared() []use {
	var list []use
	for _, s := range p.segments {
		if s.fresh {
			continue
		}
		i := slices.IndexFunc(list, func(u use) bool { return u.object == s.object })
		if i < 0 {
			i, list = len(list), append(list, use{object: s.object})
		}
		list[i].live += s.n
		list[i].reach = max(list[i].reach, s.off+s.n)
		list[i].runs = append(list[i].runs, s.extent)
	}
	for _, u := range list {
		slices.SortFunc(u.runs, func(a, b extent) int { return cmp.Compare(a.off, b.off) })
	}
	slices.SortFunc(list, func(a, b use) int {
		return cmp.Or(cmp.Compare(a.live, b.live), cmp.Compare(a.object, b.object))
	})
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

// need is the number of objects to write them to.
func (p *plan) need() int { return objectsFor(p.fresh(), p.payload) }

// objects is the number of data objects that the version will lie in.
func (p *plan) objects() int { return len(p.shared()) + p.need() }

func objectsFor(n, payload int) int { return (n + payload - 1) / payload }

// cost is the number of bytes in the data of all PUT DATA, header included.
func (p *plan) cost() int {
	header := overhead + offExtents + shortDigest + extentSize*(len(p.segments)+p.need())
	return p.fresh() + p.need()*overhead + header
}

// compaction plans to move the bytes of a version into one object that is free,
// from the objects with the fewest. The first of them is free afterwards. It
// gives nil if the version takes no more objects than it must.
func compaction(base *version, payload int) *plan {
	p := &plan{body: base.body, payload: payload, traces: base.traces}
	for _, e := range base.extents {
		p.add(segment{e, false})
	}
	list := p.shared()
	if len(list) <= objectsFor(len(base.body), payload) {
		return nil
	}
	for _, u := range list {
		if room := payload - p.fresh(); room > 0 {
			p.evict(u.object, min(u.live, room))
		}
	}
	return p
}
