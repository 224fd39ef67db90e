package detect

import (
	"cmp"
	"errors"
	"slices"
	"syscall"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// Judge compares a scan of the whole space with the reference. Items that are
// in only one of the two count as well. The reference's items of roots that the
// space does not have are left out: nobody can say anything about them here.
func Judge(space userdata.Space, ref Reference, now scan.Result) Report {
	j := newJudgement(space, ref, now)
	for _, it := range ref.Manifest.Items() {
		if class, here := space.ClassOf(it.Name); here {
			it.Class = class // as the settings have it now
			j.judgeKnown(it)
		}
	}
	saved := ref.Manifest.Finder()
	for _, it := range now.Manifest.Items() {
		if _, known := saved.Find(it.Name); !known {
			j.judgeNew(it)
		}
	}
	j.judgeStrangers()
	j.judgeMovedDirectories()
	return j.report()
}

// judgement holds the indices that one run of Judge needs.
type judgement struct {
	space    userdata.Space
	ref      Reference
	now      scan.Result
	there    *manifest.Finder // of what is there now
	problems map[userdata.Name]scan.Problem
	arrivals arrivals
	roots    map[string]rootLoss
	mass     mass
	moved    map[userdata.Name]userdata.Name
	silences map[userdata.Name]bool
	findings []Finding
	counts   map[Verdict]int
}

func newJudgement(space userdata.Space, ref Reference, now scan.Result) *judgement {
	j := &judgement{
		space: space, ref: ref, now: now, there: now.Manifest.Finder(),
		problems: make(map[userdata.Name]scan.Problem, len(now.Problems)),
		counts:   make(map[Verdict]int), moved: make(map[userdata.Name]userdata.Name), silences: make(map[userdata.Name]bool),
	}
	for _, p := range now.Problems {
		if p.Reason != scan.Attributes { // such an item was read all the same
			j.problems[p.Name] = p
		}
	}
	j.arrivals = newArrivals(ref, now)
	j.roots = j.rootLosses()
	j.mass = j.findMass()
	return j
}

func (j *judgement) add(n userdata.Name, c userdata.Class, v Verdict, reason string) {
	f := Finding{Name: n, Class: c, Verdict: v, Reason: reason}
	switch v {
	case suspected:
		f.Verdict, f.Suspected = Corrupted, true
	case suspectedLoss:
		f.Verdict, f.Suspected = Erased, true
	}
	if f.Suspected {
		f.Reason = "suspected: " + reason
	}
	if f.Verdict.Damage() && j.ref.forgotten(n) {
		f.Verdict, f.Suspected, f.Reason = Changed, false, reason+"; the owner means it"
	}
	j.counts[f.Verdict]++
	if v != Intact {
		j.findings = append(j.findings, f)
	}
}

func (j *judgement) judgeKnown(want manifest.Item) {
	v, reason := j.verdict(want)
	j.add(want.Name, want.Class, v, reason)
}

// judgeNew judges an item that no snapshot has.
func (j *judgement) judgeNew(it manifest.Item) {
	v, reason := Changed, "new"
	if it.Type == manifest.File && j.altered(it) {
		v, reason = j.judgeAltered(it.Name, "new since the last backup; its contents are not those that were written")
	}
	j.add(it.Name, it.Class, v, reason)
}

func (j *judgement) verdict(want manifest.Item) (Verdict, string) {
	loss, lost := j.roots[want.Name.Root()]
	if lost && !(loss.emptied && want.Name.IsRoot()) {
		return loss.verdict, loss.reason
	}
	if p, bad := j.problems[want.Name]; bad {
		return j.judgeProblem(want, p)
	}
	got, there := j.there.Find(want.Name)
	if !there {
		if j.hidden(want.Name) {
			return Unavailable, "lies in a directory that cannot be read"
		}
		if at, unmounted := j.unmounted(want.Name); unmounted {
			return Unavailable, "nothing is mounted at " + quoted(at)
		}
		return j.judgeMissing(want)
	}
	if got.Type != want.Type {
		return j.judgeReplaced(want, *got)
	}
	return j.judgeContents(want, *got)
}

// judgeStrangers reports what could not be read and was never saved: nobody
// can say yet what it is worth.
func (j *judgement) judgeStrangers() {
	for _, p := range j.now.Problems {
		_, known := j.ref.Manifest.Find(p.Name)
		class, here := j.space.ClassOf(p.Name)
		if known || !here || p.Reason == scan.Special || p.Reason == scan.Attributes {
			continue
		}
		j.add(p.Name, class, Unavailable, describe(p))
	}
}

// hidden tells whether a directory above the item could not be read, so that
// its absence from the scan says nothing.
func (j *judgement) hidden(n userdata.Name) bool {
	for !n.IsRoot() {
		n = n.Parent()
		if p, bad := j.problems[n]; bad && p.Reason != scan.Special {
			return true
		}
	}
	return false
}

// judgeMovedDirectories takes back what was said of directories that are gone, or gave way
// to something else, a symlink to their new place, say, because all that lay in them was
// moved elsewhere.
func (j *judgement) judgeMovedDirectories() {
	erased, moved := make(map[userdata.Name]bool), make(map[userdata.Name]bool)
	for _, f := range j.findings {
		it, known := j.ref.Manifest.Find(f.Name)
		if !known || it.Type == manifest.Dir {
			continue
		}
		set := moved
		if f.Verdict != Changed {
			set = erased
		}
		for n := f.Name; !n.IsRoot(); {
			n = n.Parent()
			set[n] = true
		}
	}
	for i, f := range j.findings {
		p, bad := j.problems[f.Name]
		unread := bad && p.Reason != scan.Special
		if f.Verdict.Damage() && moved[f.Name] && !erased[f.Name] && !unread {
			j.counts[f.Verdict]--
			j.counts[Changed]++
			j.findings[i].Verdict, j.findings[i].Reason = Changed, "what lay in it is elsewhere"
		}
	}
}

func (j *judgement) report() Report {
	slices.SortStableFunc(j.findings, func(a, b Finding) int { return cmp.Compare(a.Name, b.Name) })
	report := Report{Findings: j.findings, Counts: j.counts, Unmounted: make(map[string]bool), Moved: j.moved, Silent: j.silences}
	for name, loss := range j.roots {
		if loss.absent {
			report.Unmounted[name] = true
		}
	}
	return report
}

// judgeProblem judges an item that is there and could not be read. What went wrong on our
// side, or on the way to the medium, says nothing about the data.
func (j *judgement) judgeProblem(want manifest.Item, p scan.Problem) (Verdict, string) {
	switch {
	case p.Reason == scan.Special:
		return j.judgeSpecial(want)
	case p.Reason == scan.Unreadable && damagedMedium(p.Err):
		return Corrupted, describe(p)
	}
	return Unavailable, describe(p)
}

// judgeSpecial judges an item in whose place lies what no item can be.
func (j *judgement) judgeSpecial(want manifest.Item) (Verdict, string) {
	reason := "a " + want.Type.String() + " was replaced by a device, pipe or socket"
	if to, moved := j.arrivals.of(want); moved {
		return Changed, reason + "; what it was is now " + quoted(to)
	}
	return replacedVerdict(want), reason
}

// damagedMedium tells whether an error is the medium's, or that of a file system whose
// own checksums or structures are broken (EUCLEAN, EBADMSG). Some drivers pass on what the
// block layer says: ENODATA and EREMOTEIO for a bad sector, EILSEQ for a bad checksum.
func damagedMedium(err error) bool {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return false
	}
	switch errno {
	case syscall.EIO, syscall.EUCLEAN, syscall.EBADMSG, syscall.ENODATA, syscall.EREMOTEIO, syscall.EILSEQ:
		return true
	}
	return false
}

func describe(p scan.Problem) string {
	switch p.Reason {
	case scan.Busy:
		return "is being written"
	case scan.BadName:
		return "its name is too long to be saved"
	}
	var errno syscall.Errno
	if errors.As(p.Err, &errno) {
		return "cannot be read: " + errno.Error()
	}
	return "cannot be read"
}
