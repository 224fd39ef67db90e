package vault

import (
	"cmp"
	"slices"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// indexKind says what an index blob does to the list of a part's entries.
type indexKind uint8

const (
	indexFull  indexKind = 1 // starts the list
	indexMore  indexKind = 2 // adds entries to a full index that one blob cannot hold
	indexDelta indexKind = 3 // puts and removes entries
)

// packInfo is one line of an index's table of packs.
type packInfo struct {
	id   BlobID
	size uint32 // bytes before compression
}

// segment is what one index blob says.
type segment struct {
	kind    indexKind
	part    Part
	seq     uint64 // of the data set that wrote it
	packs   []packInfo
	removed []userdata.Name // sorted
	entries []Entry         // sorted
	// bare says that it is written without the digests of contents; proofs then has one
	// sum for each pack instead.
	bare   bool
	proofs []packProof
}

// segmentCost estimates the bytes that an entry takes in an index.
func segmentCost(e Entry) int {
	cost := 80 + len(e.Name) + len(e.Target) + 40*len(e.Extents)
	for name, value := range e.Xattrs {
		cost += 16 + len(name) + len(value)
	}
	return cost
}

// split cuts a long index into as many as are needed for each to fit a blob. A
// full index is continued by indexMore, a delta by further deltas. The order
// of each table of packs follows the order given.
func split(kind indexKind, part Part, seq uint64, removed []userdata.Name, entries []Entry, order []packInfo) []segment {
	s := splitter{cur: segment{kind: kind, part: part, seq: seq}}
	for _, n := range removed {
		s.room(len(n) + 8)
		s.cur.removed = append(s.cur.removed, n)
	}
	for _, e := range entries {
		s.room(segmentCost(e))
		s.cur.entries = append(s.cur.entries, e)
	}
	if s.items > 0 {
		s.done = append(s.done, s.cur)
	}
	for i := range s.done {
		s.done[i].packs = packsUsed(s.done[i].entries, order)
	}
	return s.done
}

type splitter struct {
	done  []segment
	cur   segment
	bytes int
	items int
}

// room starts a new segment when the current one would grow too large.
func (s *splitter) room(cost int) {
	if s.items > 0 && (s.bytes+cost > segmentBytes || s.items >= segmentItems) {
		s.done = append(s.done, s.cur)
		kind := s.cur.kind
		if kind == indexFull {
			kind = indexMore
		}
		s.cur = segment{kind: kind, part: s.cur.part, seq: s.cur.seq}
		s.bytes, s.items = 0, 0
	}
	s.bytes += cost
	s.items++
}

// packsUsed picks from order the packs that the entries refer to.
func packsUsed(entries []Entry, order []packInfo) []packInfo {
	used := make(map[BlobID]bool)
	for _, e := range entries {
		for _, x := range e.Extents {
			used[x.Pack] = true
		}
	}
	var packs []packInfo
	for _, p := range order {
		if used[p.id] {
			packs = append(packs, p)
			delete(used, p.id)
		}
	}
	return packs
}

// difference computes what an index must say to lead from old to new; both
// sorted by name.
func difference(old, new []Entry) (removed []userdata.Name, put []Entry) {
	for len(old) > 0 || len(new) > 0 {
		switch c := compareFirst(old, new); {
		case c < 0:
			removed = append(removed, old[0].Name)
			old = old[1:]
		case c > 0:
			put = append(put, new[0])
			new = new[1:]
		default:
			if !old[0].identical(new[0]) {
				put = append(put, new[0])
			}
			old, new = old[1:], new[1:]
		}
	}
	return removed, put
}

// compareFirst compares the first names; an empty list comes last.
func compareFirst(a, b []Entry) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return cmp.Compare(a[0].Name, b[0].Name)
}

func sortEntries(entries []Entry) {
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
}
