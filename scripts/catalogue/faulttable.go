package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// tell says how a batch went, on the way.
func (st *stage) tell(together []kind, b *batch) {
	good, all := 0, 0
	for _, t := range b.trials {
		if t.skipped == nil {
			all++
		}
		if t.skipped == nil && t.ok() {
			good++
		}
	}
	for _, k := range together {
		st.logf("%s: %s", st.name, k.name)
	}
	st.logf("%s: %d of %d", st.name, good, all)
	if !st.verbose {
		return
	}
	for _, t := range b.trials {
		st.logf("  %s, %s: %s: %s %s", t.kind.name, t.class, t.cell(), t.reason, t.miss())
	}
}

// faultTable sums the trials up, one row for each kind.
func faultTable(s settings, all []*trial) outcome {
	out := outcome{table: table{head: []string{"kind of fault"}}}
	for _, c := range userdata.Classes() {
		out.table.head = append(out.table.head, string(c))
	}
	var sum tally
	var unfit unfit
	for _, k := range kinds() {
		if !s.wants(k.name) {
			continue
		}
		row := []string{k.name}
		for _, c := range userdata.Classes() {
			t := find(all, k.name, c)
			row = append(row, sum.cell(t))
			if t != nil && t.skipped != nil {
				unfit.add(k.name, t.skipped)
			}
			if t != nil && t.miss() != "" {
				out.misses = append(out.misses, fmt.Sprintf("%s, %s: %s", k.name, c, t.miss()))
			}
		}
		out.table.add(row...)
	}
	out.skipped = unfit.lines()
	out.summary = sum.lines(len(out.table.rows))
	return out
}

// unfit are the kinds that could not be tried, by the reason.
type unfit struct {
	why   []string
	kinds map[string][]string
}

func (u *unfit) add(kind string, err error) {
	why := err.Error()
	if u.kinds == nil {
		u.kinds = make(map[string][]string)
	}
	if u.kinds[why] == nil {
		u.why = append(u.why, why)
	}
	if !slices.Contains(u.kinds[why], kind) {
		u.kinds[why] = append(u.kinds[why], kind)
	}
}

// lines has one for each reason.
func (u *unfit) lines() (all []string) {
	for _, why := range u.why {
		all = append(all, strings.Join(u.kinds[why], "; ")+": "+why)
	}
	return all
}

func find(all []*trial, name string, c userdata.Class) *trial {
	for _, t := range all {
		if t.kind.name == name && t.class == c {
			return t
		}
	}
	return nil
}

// tally counts trials.
type tally struct {
	tried, found, right int
	times               []time.Duration
}

// cell counts a trial and gives what the table shows of it. A dash says that
// nobody could tell the harm from what people do in that class.
func (y *tally) cell(t *trial) string {
	if t == nil {
		return "-"
	}
	if t.skipped != nil {
		return t.cell()
	}
	y.tried++
	if t.found && t.failed == nil {
		y.found++
	}
	if t.ok() {
		y.right++
		if t.after > 0 {
			y.times = append(y.times, t.after)
		}
	}
	return t.cell()
}

func (y *tally) lines(rows int) []string {
	if y.tried == 0 {
		return []string{"nothing was tried"}
	}
	return []string{
		"",
		fmt.Sprintf("%d kinds, %d faults; %d found (%.1f %%); %d with the right verdict and restored byte for byte (%.1f %%)",
			rows, y.tried, y.found, percent(y.found, y.tried), y.right, percent(y.right, y.tried)),
		fmt.Sprintf("from the harm to the verdict: %s at the median, %s at most (those under the file system: from the harm to the end of a deep check)",
			seconds(median(y.times)), seconds(slowest(y.times))),
	}
}

func percent(n, of int) float64 { return 100 * float64(n) / float64(of) }
