// Package delta finds what two versions of some bytes have in common, wherever it
// is in them, so that a card is written only what is new. It is pure, and for
// package card and the profiles below it.
package delta

// MinMatch is the number of equal bytes from which on they are shared rather
// than written again: below, the entries in the header cost as much.
const MinMatch = 24

// Match is a range of N bytes that two versions have in common.
type Match struct {
	At   int // offset in the new version
	From int // offset in the old version
	N    int
}

// Matches finds what of next is in old already, wherever it is there: in
// ascending order, without overlaps, each of MinMatch bytes or more.
func Matches(old, next []byte) []Match {
	index := indexOf(old)
	var list []Match
	shift := 0 // of the match before: what follows it is likely to have the same
	for at, free := 0, 0; at+MinMatch <= len(next); {
		from, ok := candidate(index, old, next, at, shift)
		if !ok {
			at++
			continue
		}
		m := extend(old, next, at, from, free)
		if m.N < MinMatch {
			at++
			continue
		}
		list, shift = append(list, m), m.From-m.At
		at = m.At + m.N
		free = at
	}
	return list
}

// stride is the distance of the blocks that are indexed, and their size. A match
// of MinMatch bytes is found if it has a block, so always from 2*stride-1 on.
const stride = 12

type block [stride]byte

func indexOf(old []byte) map[block]int {
	index := make(map[block]int, len(old)/stride)
	for off := 0; off+stride <= len(old); off += stride {
		b := block(old[off:])
		if _, ok := index[b]; !ok {
			index[b] = off
		}
	}
	return index
}

// candidate finds where in old the bytes at an offset of next may come from: as
// shifted as before, in place, or wherever the index knows them.
func candidate(index map[block]int, old, next []byte, at, shift int) (from int, ok bool) {
	b := block(next[at:])
	for _, from := range []int{at + shift, at} {
		if from >= 0 && from+stride <= len(old) && block(old[from:]) == b {
			return from, true
		}
	}
	from, ok = index[b]
	return from, ok
}

// extend makes the match that lies about a pair of offsets, which may begin no
// earlier than at free.
func extend(old, next []byte, at, from, free int) Match {
	end := 0
	for at+end < len(next) && from+end < len(old) && next[at+end] == old[from+end] {
		end++
	}
	for at > free && from > 0 && next[at-1] == old[from-1] {
		at, from, end = at-1, from-1, end+1
	}
	return Match{at, from, end}
}
