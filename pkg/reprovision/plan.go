package reprovision

import (
	"cmp"
	"slices"

	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// Selection says which of a snapshot's items a reprovision may touch.
type Selection struct {
	Names   map[userdata.Name]bool // exactly these; nil: any
	Classes []userdata.Class       // none: all
	Below   []userdata.Name        // items that are one of these or lie below it; none: all
	// Damage limits the plan to what was erased or corrupted: what a daemon
	// does by itself. Otherwise what was deleted comes back too.
	Damage bool
	// Suspected takes in what only may be damage, where Damage leaves it out: the owner has
	// been asked about just these.
	Suspected bool
	// Overwrite puts the snapshot's state in place of legitimate changes too, and,
	// where Names or Below name it, of what can be read and not be judged. Only the
	// owner's word sets it.
	Overwrite bool
}

func (s Selection) admits(n userdata.Name, c userdata.Class) bool {
	if s.Names != nil && !s.Names[n] {
		return false
	}
	if len(s.Classes) > 0 && !slices.Contains(s.Classes, c) {
		return false
	}
	return len(s.Below) == 0 || slices.ContainsFunc(s.Below, n.Below)
}

// named tells whether the owner has named what they want back, not only whose state.
func (s Selection) named() bool { return s.Names != nil || len(s.Below) > 0 }

// Action is one item to restore.
type Action struct {
	Want   manifest.Item
	Reason string
	// Before is how the file that lies there was observed when it was judged;
	// Known is false when no file lay there or it could not be read. A file that
	// differs from it at the time of writing is somebody's new work.
	Before scan.Observation
	Known  bool
	// Contents are those that the file had then.
	Contents manifest.Digest
	Absent   bool // nothing lay there
}

// Plan is what a reprovision will do: actions in the order of a restore
// (class, then name, so that a directory comes before what lies in it), and
// what differs from the snapshot and stays.
type Plan struct {
	Actions []Action
	Kept    []detect.Finding
}

// Bytes is the size of all contents to restore.
func (p Plan) Bytes() int64 {
	var sum int64
	for _, a := range p.Actions {
		sum += a.Want.Size
	}
	return sum
}

// Replaced is how many files would give way to what is restored, and be kept in the
// quarantine; an empty one is not kept.
func (p Plan) Replaced() (n int) {
	for _, a := range p.Actions {
		if a.Known && a.Before.Size > 0 {
			n++
		}
	}
	return n
}

// Names lists the items to restore.
func (p Plan) Names() []userdata.Name {
	names := make([]userdata.Name, len(p.Actions))
	for i, a := range p.Actions {
		names[i] = a.Want.Name
	}
	return names
}

// NewPlan decides what to restore of a snapshot, given a scan of the space and
// the judgement of that scan against the snapshot. Items that the snapshot
// does not have are left alone.
func NewPlan(snapshot manifest.Manifest, now scan.Result, report detect.Report, sel Selection) Plan {
	p := planner{snapshot: snapshot, now: now, planned: make(map[userdata.Name]bool), troubled: make(map[userdata.Name]bool)}
	for _, problem := range now.Problems {
		p.troubled[problem.Name] = true
	}
	for _, f := range report.Findings {
		want, saved := snapshot.Find(f.Name)
		if !saved || !sel.admits(f.Name, want.Class) {
			continue
		}
		if p.wanted(f, sel) {
			p.restore(want, f.Reason)
		} else {
			p.plan.Kept = append(p.plan.Kept, f)
		}
	}
	slices.SortStableFunc(p.plan.Actions, func(a, b Action) int {
		return cmp.Or(cmp.Compare(a.Want.Class.Rank(), b.Want.Class.Rank()), cmp.Compare(a.Want.Name, b.Want.Name))
	})
	return p.plan
}

type planner struct {
	snapshot manifest.Manifest
	now      scan.Result
	planned  map[userdata.Name]bool
	troubled map[userdata.Name]bool // there, and not readable
	plan     Plan
}

// wanted decides on one difference. What was deleted can come back without
// overwriting anything, so it does whenever the owner asks for a reprovision.
func (p *planner) wanted(f detect.Finding, sel Selection) bool {
	if f.Verdict.Damage() {
		return !f.Suspected || sel.Suspected || !sel.Damage
	}
	_, there := p.now.Manifest.Find(f.Name)
	switch {
	case sel.Damage:
		return false
	case f.Verdict == detect.Changed:
		return sel.Overwrite || !there
	case f.Verdict == detect.Unavailable: // that nobody can tell what became of it, the owner may
		return sel.Overwrite && sel.named() && there
	}
	return false
}

// restore plans an item and the directories that must be there to hold it.
func (p *planner) restore(want manifest.Item, reason string) {
	if p.planned[want.Name] {
		return
	}
	p.planned[want.Name] = true
	p.restoreParent(want.Name)
	got, there := p.now.Manifest.Find(want.Name)
	a := Action{Want: want, Reason: reason, Absent: !there && !p.troubled[want.Name]}
	if there && got.Type == manifest.File {
		a.Before, a.Known = p.now.Observed(want.Name)
		a.Contents = got.Digest
	}
	p.plan.Actions = append(p.plan.Actions, a)
}

func (p *planner) restoreParent(n userdata.Name) {
	parent := n.Parent()
	if parent == n {
		return
	}
	want, saved := p.snapshot.Find(parent)
	if !saved {
		return
	}
	if got, there := p.now.Manifest.Find(parent); !there || got.Type != manifest.Dir && want.Type == manifest.Dir {
		p.restore(want, "holds an item to restore")
	}
}
