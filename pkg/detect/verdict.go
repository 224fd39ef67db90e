package detect

import (
	"maps"
	"slices"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// Verdict is what became of an item since the reference was taken.
type Verdict string

// The five verdicts.
const (
	Intact      Verdict = "intact"      // as it was saved
	Changed     Verdict = "changed"     // edited, added or deleted by someone who may
	Erased      Verdict = "erased"      // gone, and meant to be there
	Corrupted   Verdict = "corrupted"   // there, and not what anybody wrote
	Unavailable Verdict = "unavailable" // cannot be judged now
)

// Verdicts lists the five in a fixed order.
func Verdicts() []Verdict {
	return []Verdict{Intact, Changed, Erased, Corrupted, Unavailable}
}

// Damage tells whether the verdict calls for a reprovision.
func (v Verdict) Damage() bool { return v == Erased || v == Corrupted }

// Finding is the verdict on one item and the evidence for it.
type Finding struct {
	Name    userdata.Name
	Class   userdata.Class
	Verdict Verdict
	// Suspected: the item is Corrupted or Erased by all that is known, and yet may be as somebody
	// made it. No snapshot takes it up, and only the owner's word puts another in its place.
	Suspected bool
	Reason    string // the evidence, for a person
}

// suspected and suspectedLoss are the verdicts on what becomes a Finding that is Suspected.
const (
	suspected     Verdict = "suspected"
	suspectedLoss Verdict = "suspected loss"
)

// Reference is what the device holds to be true: the last good snapshot, and
// how its files were observed when they were last seen intact.
type Reference struct {
	Manifest manifest.Manifest
	Seen     scan.Cache
	// Last is how the files were last found, those among them that were written since the
	// snapshot, or are newer than it.
	Last scan.Cache
	// Crashed is when the system started after it had last gone down without an orderly end, in
	// nanoseconds since the epoch; 0 for never.
	Crashed int64
	// Forgotten tells whether the owner said that a change or a deletion of
	// the item is meant. May be nil.
	Forgotten func(userdata.Name) bool
	// Erased tells whether the item was found erased before and has not been
	// back since: then its absence is no deletion, though the rest of its root
	// may be back by now. May be nil.
	Erased func(userdata.Name) bool
	// Moved tells where an item went that was found moved before. It is there as
	// long as that place holds anything: what was moved may be edited afterwards.
	Moved map[userdata.Name]userdata.Name
	// Mounts tells, by the name of a root, where the file system was mounted on
	// which it lay; Mounted holds the mount points inside the roots.
	Mounts  map[string]string
	Mounted map[userdata.Name]bool
}

func (r Reference) forgotten(n userdata.Name) bool {
	return r.Forgotten != nil && r.Forgotten(n)
}

// Report is the outcome of a judgement: a finding for each item that is not
// intact, sorted by name, and how many items got which verdict.
type Report struct {
	Findings []Finding
	Counts   map[Verdict]int
	// Moved tells where items went that are gone from their place.
	Moved map[userdata.Name]userdata.Name
	// Unmounted holds the roots whose file system is not mounted now.
	Unmounted map[string]bool
	// Silent holds the files that differ from Reference.Last though nobody wrote them: what
	// is known of them is still what was known.
	Silent map[userdata.Name]bool
}

// Damaged returns the findings that call for a reprovision.
func (r Report) Damaged() []Finding {
	var out []Finding
	for _, f := range r.Findings {
		if f.Verdict.Damage() {
			out = append(out, f)
		}
	}
	return out
}

// Only returns the report with all damage but the confirmed turned into
// unavailable: it comes and goes, so nobody can say yet what it is.
func (r Report) Only(confirmed []Finding) Report {
	sure := make(map[userdata.Name]bool, len(confirmed))
	for _, f := range confirmed {
		sure[f.Name] = true
	}
	return r.withhold(func(n userdata.Name) bool { return !sure[n] }, "does not stay as it is")
}

// Withhold turns damage of the named items into unavailable, for a reason.
func (r Report) Withhold(names map[userdata.Name]bool, why string) Report {
	return r.withhold(func(n userdata.Name) bool { return names[n] }, why)
}

func (r Report) withhold(which func(userdata.Name) bool, why string) Report {
	r.Findings, r.Counts = slices.Clone(r.Findings), maps.Clone(r.Counts)
	for i, f := range r.Findings {
		if f.Verdict.Damage() && which(f.Name) {
			r.Counts[f.Verdict]--
			r.Counts[Unavailable]++
			f.Verdict, f.Suspected, f.Reason = Unavailable, false, why+": "+f.Reason
			r.Findings[i] = f
		}
	}
	return r
}

// Find returns the finding on an item; false when the item is intact.
func (r Report) Find(n userdata.Name) (Finding, bool) {
	for _, f := range r.Findings {
		if f.Name == n {
			return f, true
		}
	}
	return Finding{}, false
}
