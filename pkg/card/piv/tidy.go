package piv

import "slices"

// objectCost is what an object costs who reads a version, in bytes that take as
// long: a command more on a contact card, 156, and some for being one less to write to.
const objectCost = 220

// crowdCost is what each object costs besides, from two in three of the data
// objects on: free ones are what the next versions are written to.
const crowdCost = 100

// tidySteps is how many ways to spend the budget are compared.
const tidySteps = 24

// settle makes the plan leave an object free at the least, so that there will
// always be one to write to, and then quicker to read as far as that is cheap.
// count is the number of data objects, free how many of them may be written.
func (p *plan) settle(count, free int) {
	for list := p.shared(); len(list) > 0 && p.objects() > count-1; list = p.shared() {
		p.evict(list[0].object, list[0].live)
	}
	limit := max(tidyBudget, p.cost()+p.fresh()/tidyShare)
	choose := p.choices(limit-p.cost(), count)
	best := *p
	for step := range tidySteps {
		next := p.without(choose(tidySteps - step))
		if next.cost() <= limit && next.need() <= max(free, p.need()) && next.objects() <= max(p.objects(), count-1) &&
			next.reading(count) < best.reading(count) {
			best = *next
		}
	}
	*p = best
}

// reading is what it costs to read the version, in bytes.
func (p *plan) reading(count int) int {
	n := p.fresh()
	for _, u := range p.shared() {
		n += u.reach
	}
	return n + p.objects()*objectCost + max(p.objects()-crowd(count), 0)*crowdCost
}

// crowd is the number of objects from which on there are many.
func crowd(count int) int { return count * 2 / 3 }

// choice is a way to have less of an object: what lies from an offset on is
// written anew, so that nothing is read in vain before it.
type choice struct {
	object     object
	from       int
	cost, gain int // bytes to write, and bytes that need not be read
}

// options lists, by object, the ways to have less of it. An object that is not
// needed any more spares perObject.
func (p *plan) options(perObject int) [][]choice {
	var all [][]choice
	for _, u := range p.shared() {
		var list []choice
		cost := 0
		for i := len(u.runs) - 1; i >= 0; i-- {
			cost += u.runs[i].n
			reach, spared := 0, perObject
			for _, kept := range u.runs[:i] {
				reach, spared = max(reach, kept.off+kept.n), 0
			}
			list = append(list, choice{u.object, u.runs[i].off, cost, u.reach - reach - cost + spared})
		}
		all = append(all, list)
	}
	return all
}

// choices picks from the options, for one object one or none, those that gain most for
// the bytes they cost: the multiple-choice knapsack problem, solved exactly. The
// function that it gives tells them for so many parts in tidySteps of the budget.
func (p *plan) choices(budget, count int) func(step int) []choice {
	budget = max(budget, 0)
	perObject := objectCost
	if p.objects() > crowd(count) {
		perObject += (p.objects() - crowd(count)) * crowdCost
	}
	all := p.options(perObject)
	gain, picked := make([]int, budget+1), make([][]int8, len(all))
	for i, list := range all {
		next := slices.Clone(gain)
		picked[i] = slices.Repeat([]int8{-1}, budget+1)
		for k, c := range list {
			for b := c.cost; b <= budget; b++ {
				if g := gain[b-c.cost] + c.gain; g > next[b] {
					next[b], picked[i][b] = g, int8(k)
				}
			}
		}
		gain = next
	}
	return func(step int) []choice {
		var list []choice
		for i, b := len(all)-1, budget*step/tidySteps; i >= 0; i-- {
			if k := picked[i][b]; k >= 0 {
				list = append(list, all[i][k])
				b -= all[i][k].cost
			}
		}
		return list
	}
}

// without is the plan with what was chosen written anew.
func (p *plan) without(chosen []choice) *plan {
	next := *p
	next.segments = slices.Clone(p.segments)
	next.change(func(s segment) []segment {
		s.fresh = slices.ContainsFunc(chosen, func(c choice) bool { return c.object == s.object && s.off >= c.from })
		return []segment{s}
	})
	return &next
}
