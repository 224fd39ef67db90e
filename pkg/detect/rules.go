package detect

import (
	"fmt"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// rootLoss is a verdict that holds for every item of a root.
type rootLoss struct {
	verdict Verdict
	reason  string
	emptied bool // the root directory itself still stands
}

// rootLosses finds the roots that are gone as a whole: the directory itself,
// or everything that lay in it.
func rootLosses(ref Reference, now scan.Result) map[string]rootLoss {
	had, left := perRoot(ref.Manifest), perRoot(now.Manifest)
	losses := make(map[string]rootLoss)
	for _, r := range now.Roots {
		if had[r.Name] == 0 {
			continue
		}
		switch {
		case r.Missing:
			losses[r.Name] = rootLoss{verdict: Erased, reason: "the whole root directory is gone"}
		case r.NotDirectory:
			losses[r.Name] = rootLoss{verdict: Corrupted, reason: "the root is no directory any more"}
		case r.Unreadable:
			losses[r.Name] = rootLoss{verdict: Unavailable, reason: "the root directory cannot be read"}
		}
	}
	markEmptied(losses, had, left, now)
	return losses
}

// markEmptied adds the roots whose directory stands but in which nothing is
// left. The root directory itself is then judged like the rest.
func markEmptied(losses map[string]rootLoss, had, left map[string]int, now scan.Result) {
	troubled := make(map[string]bool)
	for _, p := range now.Problems {
		troubled[p.Name.Root()] = true
	}
	for _, r := range now.Roots {
		name := r.Name
		if _, lost := losses[name]; !lost && r.Available() && had[name] > 0 && left[name] == 0 && !troubled[name] {
			losses[name] = rootLoss{verdict: Erased, reason: "everything in the root directory is gone", emptied: true}
		}
	}
}

// perRoot counts a manifest's items by root, the root directories left out.
func perRoot(m manifest.Manifest) map[string]int {
	count := make(map[string]int)
	for _, it := range m.Items() {
		if !it.Name.IsRoot() {
			count[it.Name.Root()]++
		}
	}
	return count
}

// judgeMissing judges an item of which nothing is left. A service book or a
// key is not deleted without a word to us (paragraph 30); other items may be.
func (j *judgement) judgeMissing(want manifest.Item) (Verdict, string) {
	if want.Class.Critical() {
		return Erased, "the " + want.Type.String() + " is gone"
	}
	return Changed, "deleted"
}

// judgeReplaced judges an item in whose place lies something of another type.
func (j *judgement) judgeReplaced(want, got manifest.Item) (Verdict, string) {
	return replacedVerdict(want), fmt.Sprintf("was a %s, is a %s", want.Type, got.Type)
}

// replacedVerdict: where a directory of a critical class gave way, what lay in
// it is judged erased, and so must be the directory that has to hold it.
func replacedVerdict(want manifest.Item) Verdict {
	if want.Class.Critical() && want.Type == manifest.Dir {
		return Corrupted
	}
	return Changed
}

// judgeContents judges an item that is there, readable and of its old type.
func (j *judgement) judgeContents(want, got manifest.Item) (Verdict, string) {
	switch {
	case want.SameContents(got):
		return metadataVerdict(want, got)
	case got.Type != manifest.File:
		return Changed, "leads elsewhere"
	case got.Size == 0:
		return Corrupted, fmt.Sprintf("cut to zero, had %d bytes", want.Size)
	case j.now.Nul[want.Name]:
		return Corrupted, fmt.Sprintf("filled with NUL, %d bytes", got.Size)
	case j.silent(want.Name):
		return Corrupted, "contents differ, though size, times and inode are as they were"
	}
	return Changed, "contents differ"
}

// silent tells whether lstat still says what it said when the item was intact:
// then nobody wrote the bytes that differ.
func (j *judgement) silent(n userdata.Name) bool {
	was, known := j.ref.Seen.Get(n)
	is, there := j.now.Observed(n)
	saved, _ := j.ref.Manifest.Find(n)
	return known && there && was.Digest == saved.Digest && was.Observation == is
}

func metadataVerdict(want, got manifest.Item) (Verdict, string) {
	switch {
	case want.SameMetadata(got):
		return Intact, ""
	case want.Mode != got.Mode && want.Type != manifest.Symlink:
		return Changed, fmt.Sprintf("mode %04o became %04o", want.Mode, got.Mode)
	case want.UID != got.UID || want.GID != got.GID:
		return Changed, fmt.Sprintf("owner %d:%d became %d:%d", want.UID, want.GID, got.UID, got.GID)
	case want.MTime != got.MTime && want.Type != manifest.Dir:
		return Changed, "modification time differs"
	}
	return Changed, "extended attributes differ"
}

// Confirm keeps of an earlier report's damage what a later look found again,
// with the later reason. Between the two lies the settling time, so that an
// editor in the middle of writing a file anew is not taken for damage.
func Confirm(earlier, later Report) []Finding {
	seen := make(map[userdata.Name]bool)
	for _, f := range earlier.Damaged() {
		seen[f.Name] = true
	}
	var out []Finding
	for _, f := range later.Damaged() {
		if seen[f.Name] {
			out = append(out, f)
		}
	}
	return out
}
