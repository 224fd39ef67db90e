package detect

import (
	"fmt"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// judgeMissing judges an item of which nothing is left under its name. A service
// book or a key is not deleted without a word to us (paragraph 30); other items
// may be.
func (j *judgement) judgeMissing(want manifest.Item) (Verdict, string) {
	if by, there := j.arrivals.noise(want); there && j.mass.noise {
		if kind := formatOf(j.now.Nature(by).Kind); kind != "" { // which has a key, and may be the owner's
			return suspectedLoss, "gave way, with many others, to what is encrypted and has its name and more"
		}
		return Erased, "gave way, with many others, to something that nobody can read: " + quoted(by)
	}
	if to, moved := j.arrivals.of(want); moved {
		j.moved[want.Name] = to
		return Changed, "is now " + quoted(to)
	}
	if transient(want.Name) {
		return Changed, "deleted; files of such a name come and go"
	}
	if j.keptByGit(want.Name) {
		return Changed, "deleted by git, whose repository is there"
	}
	switch {
	case want.Class.Critical(), j.ref.Erased != nil && j.ref.Erased(want.Name):
		return Erased, "the " + want.Type.String() + " is gone"
	case j.mass.lost[want.Name.Root()] != "":
		return Erased, j.mass.lost[want.Name.Root()]
	}
	return Changed, "deleted"
}

func quoted(n userdata.Name) string { return userdata.Printable(string(n)) }

// judgeReplaced judges an item in whose place lies something of another type.
func (j *judgement) judgeReplaced(want, got manifest.Item) (Verdict, string) {
	reason := fmt.Sprintf("was a %s, is a %s", want.Type, got.Type)
	to, moved := j.arrivals.of(want)
	switch {
	case moved:
		return Changed, reason + "; what it was is now " + quoted(to)
	case got.Type == manifest.Symlink && want.Type == manifest.File && !j.now.Dangling[want.Name]:
		return Changed, reason
	case got.Type == manifest.File && want.Type == manifest.Symlink:
		return Changed, reason // many editors put a file in the place of the link to it
	}
	return replacedVerdict(want), reason
}

// replacedVerdict: no program puts a directory, a pipe or a link to nowhere in the
// place of a service book or a key. Where a directory gave way, what lay in it is
// judged erased, and so must be the directory that has to hold it.
func replacedVerdict(want manifest.Item) Verdict {
	if want.Class.Critical() {
		return Corrupted
	}
	return Changed
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
