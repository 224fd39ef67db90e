package vault

import (
	"cmp"
	"slices"
	"time"
)

// Retention says how many snapshots of a vault are kept, by rules that are applied
// side by side: a snapshot stays if any of them keeps it. A number of 0 is no rule.
type Retention struct {
	Last    int // the newest ones
	Daily   int // the newest one of each of that many days that have any
	Weekly  int // of each ISO week
	Monthly int // of each month
}

// Aged is a snapshot as Retention judges it.
type Aged struct {
	Seq       uint64
	Committed time.Time // by the reader's clock
	Good      bool      // nothing of it is known to be damaged
	Whole     bool      // it has bulk data, too; what came on a card has none
	Held      bool      // it is in use: a restore of it is under way
}

// Surplus returns the generations of the snapshots that no rule keeps, the
// oldest first. Never among them are the newest snapshot, the newest good one and
// those that are held. The rules are applied to all snapshots, once more to the good
// ones alone, so that a damaged snapshot takes no good one's place, and once more to
// the good ones that are whole, so that none takes it that came on a card. Days,
// weeks and months are those of the zone. What counts as newer is the
// generation, and not a clock that may have been wrong. It is pure.
func (r Retention) Surplus(all []Aged, zone *time.Location) []uint64 {
	newestFirst := slices.Clone(all)
	slices.SortFunc(newestFirst, func(a, b Aged) int { return cmp.Compare(b.Seq, a.Seq) })
	good := slices.DeleteFunc(slices.Clone(newestFirst), func(a Aged) bool { return !a.Good })
	whole := slices.DeleteFunc(slices.Clone(good), func(a Aged) bool { return !a.Whole })
	keep := make(map[uint64]bool)
	for _, list := range [][]Aged{newestFirst, good, whole} {
		if len(list) > 0 {
			keep[list[0].Seq] = true
		}
		r.mark(list, zone, keep)
	}
	var surplus []uint64
	for _, a := range slices.Backward(newestFirst) {
		if !keep[a.Seq] && !a.Held {
			surplus = append(surplus, a.Seq)
		}
	}
	return surplus
}

// mark applies each rule to a list, the newest first.
func (r Retention) mark(list []Aged, zone *time.Location, keep map[uint64]bool) {
	for _, a := range list[:min(max(r.Last, 0), len(list))] {
		keep[a.Seq] = true
	}
	for _, rule := range []struct {
		count  int
		period func(time.Time) [2]int
	}{
		{r.Daily, func(t time.Time) [2]int { return [2]int{t.Year(), t.YearDay()} }},
		{r.Weekly, func(t time.Time) [2]int { y, w := t.ISOWeek(); return [2]int{y, w} }},
		{r.Monthly, func(t time.Time) [2]int { return [2]int{t.Year(), int(t.Month())} }},
	} {
		markPeriods(list, rule.count, func(a Aged) [2]int { return rule.period(a.Committed.In(zone)) }, keep)
	}
}

// markPeriods keeps the newest of each of the newest count periods.
func markPeriods(list []Aged, count int, period func(Aged) [2]int, keep map[uint64]bool) {
	seen := make(map[[2]int]bool)
	for _, a := range list {
		if len(seen) >= count {
			return
		}
		if p := period(a); !seen[p] {
			seen[p] = true
			keep[a.Seq] = true
		}
	}
}
