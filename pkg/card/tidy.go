package card

import (
	"cmp"
	"slices"
)

// Limits of what a commit writes anew to make the version quicker to read.
const (
	tidyBudget = 2500 // bytes that it may write then, all in all
	tidyShare  = 4    // or so much more than it must: a quarter
	tidyFrom   = 20   // from one read on in so many that a version in one piece would not take
)

// tidy places a plan, having brought together what is scattered as far as that is
// needed and cheap: the smallest pieces are written anew.
func (p *plan) tidy(holes []extent) layout {
	best := p.place(holes)
	enough := reads([]extent{{n: len(p.body)}})
	enough += enough / tidyFrom
	budget := max(tidyBudget, p.cost()+p.fresh()/tidyShare)
	for reads(best.extents) > enough {
		pieces := runs(p.shared(), 0)
		if len(pieces) < 2 {
			break
		}
		smallest := slices.MinFunc(pieces, func(a, b extent) int { return cmp.Compare(a.n, b.n) })
		p.renew(func(_ int, s segment) bool { return smallest.holds(s.extent) })
		if p.cost() > budget {
			break
		}
		if l := p.place(holes); reads(l.extents) < reads(best.extents) {
			best = l
		}
	}
	return best
}

// cost is the number of bytes that a commit writes.
func (p *plan) cost() int { return p.fresh() + len(p.segments)*entrySize + HeaderSize }

// readSize is the number of bytes that a card gives for one command, commonly.
const readSize = 256

// reads is the number of commands that reading extents takes.
func reads(extents []extent) int {
	n := 0
	for _, e := range runs(extents, readGap) {
		n += (e.n + readSize - 1) / readSize
	}
	return n
}
