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
	had, left := survivors(ref, now)
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
	for _, r := range now.Roots {
		// The directory stands, and nothing of what lay in it is left. The root
		// itself is then judged like the rest.
		if _, lost := losses[r.Name]; !lost && r.Available() && had[r.Name] > 0 && left[r.Name] == 0 {
			losses[r.Name] = rootLoss{verdict: Erased, reason: "everything in the root directory is gone", emptied: true}
		}
	}
	return losses
}

// survivors counts, by root, the items that the reference has below the root
// directory, and those of them of which anything is left: the item itself, a
// trouble in reading it or a directory above it, or its contents under another
// name. What else lies there (lost+found, a cache that a program made anew)
// says nothing.
func survivors(ref Reference, now scan.Result) (had, left map[string]int) {
	had, left = make(map[string]int), make(map[string]int)
	troubled := make(map[userdata.Name]bool)
	for _, p := range now.Problems {
		troubled[p.Name] = p.Reason == scan.Unreadable || p.Reason == scan.Busy || troubled[p.Name]
	}
	moved := newcomers(ref, now)
	for _, it := range ref.Manifest.Items() {
		if it.Name.IsRoot() {
			continue
		}
		root := it.Name.Root()
		had[root]++
		_, there := now.Manifest.Find(it.Name)
		if there || obscured(troubled, it.Name) || it.Size > 0 && moved[root+string(it.Digest[:])] {
			left[root]++
		}
	}
	return had, left
}

// newcomers are the contents of files that the reference does not know, by root.
func newcomers(ref Reference, now scan.Result) map[string]bool {
	set := make(map[string]bool)
	for _, it := range now.Manifest.Items() {
		if _, known := ref.Manifest.Find(it.Name); !known && it.Type == manifest.File {
			set[it.Name.Root()+string(it.Digest[:])] = true
		}
	}
	return set
}

// obscured tells whether the item, or a directory above it, could not be read.
func obscured(troubled map[userdata.Name]bool, n userdata.Name) bool {
	for !troubled[n] {
		if n.IsRoot() {
			return false
		}
		n = n.Parent()
	}
	return true
}

// judgeMissing judges an item of which nothing is left. A service book or a
// key is not deleted without a word to us (paragraph 30); other items may be.
func (j *judgement) judgeMissing(want manifest.Item) (Verdict, string) {
	if want.Class.Critical() || j.ref.Erased != nil && j.ref.Erased(want.Name) {
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
// then nobody wrote the bytes that differ. It is no evidence where the file had
// not been left alone for a while before: a second store to a page that is still
// dirty, or in the same tick of a coarse clock, moves no time.
func (j *judgement) silent(n userdata.Name) bool {
	was, known := j.ref.Seen.Get(n)
	is, there := j.now.Observed(n)
	saved, _ := j.ref.Manifest.Find(n)
	return known && there && was.Settled && was.Digest == saved.Digest && was.Observation == is
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
