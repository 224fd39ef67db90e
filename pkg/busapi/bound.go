package busapi

// perEntry is more than what the keys and signatures of one dictionary in a
// list take on the bus; its strings come on top.
const perEntry = 256

// fit keeps the entries from the front whose cost the budget covers, takes
// their cost from it, and says how many it dropped.
func fit[T any](list []T, budget *int, cost func(T) int) ([]T, int64) {
	for i, v := range list {
		c := cost(v)
		if c > *budget {
			return list[:i], int64(len(list) - i)
		}
		*budget -= c
	}
	return list, 0
}

func costOfText(texts ...string) int {
	n := perEntry
	for _, s := range texts {
		n += len(toBus(s))
	}
	return n
}

func costOfString(s string) int   { return len(toBus(s)) + 8 }
func costOfFinding(f Finding) int { return costOfText(f.Path, f.Class, f.Verdict, f.Reason) }
func costOfItem(i ItemInfo) int {
	return costOfText(i.Path, i.Class, i.Type, i.Mode, i.SHA256)
}
func costOfChange(c ItemChange) int     { return costOfText(c.Path, c.Class, c.Type, c.Change) }
func costOfSnapshot(s SnapshotInfo) int { return costOfText(s.ID, s.Parent, s.Mode) }

// bounded cuts the lists of a result to what one message may hold.
func (r BackupResult) bounded(budget int) BackupResult {
	var held, skipped int64
	r.Skipped, skipped = fit(r.Skipped, &budget, costOfString)
	r.Held, held = fit(r.Held, &budget, costOfString)
	r.Truncated += held + skipped
	return r
}

func (r CheckResult) bounded(budget int) CheckResult {
	var dropped int64
	r.Items, dropped = fit(r.Items, &budget, costOfFinding)
	r.Truncated += dropped
	return r
}

// What failed is kept first: it is what the owner has to act on.
func (r ReprovisionResult) bounded(budget int) ReprovisionResult {
	var failed, hooks, kept, items int64
	r.Failed, failed = fit(r.Failed, &budget, costOfFinding)
	r.Hooks, hooks = fit(r.Hooks, &budget, costOfString)
	r.Kept, kept = fit(r.Kept, &budget, costOfFinding)
	r.Items, items = fit(r.Items, &budget, costOfFinding)
	r.Truncated += failed + hooks + kept + items
	return r
}
