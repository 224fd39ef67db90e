package detect

import (
	"slices"
	"strings"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// rootLoss is a verdict that holds for every item of a root.
type rootLoss struct {
	verdict Verdict
	reason  string
	emptied bool // the root directory itself still stands
	absent  bool // its file system is not mounted
}

// rootLosses finds the roots that are gone as a whole: the directory itself,
// or everything that lay in it.
func (j *judgement) rootLosses() map[string]rootLoss {
	had, left := j.survivors()
	losses := make(map[string]rootLoss)
	for _, r := range j.now.Roots {
		if had[r.Name] == 0 {
			continue
		}
		switch {
		case left[r.Name] == 0 && j.misses(r):
			losses[r.Name] = rootLoss{verdict: Unavailable, reason: "nothing is mounted at " + j.ref.Mounts[r.Name], absent: true}
		case r.Missing:
			losses[r.Name] = rootLoss{verdict: Erased, reason: "the whole root directory is gone"}
		case r.NotDirectory:
			losses[r.Name] = rootLoss{verdict: Corrupted, reason: "the root is no directory any more"}
		case r.Unreadable:
			losses[r.Name] = rootLoss{verdict: Unavailable, reason: "the root directory cannot be read"}
		}
	}
	for _, r := range j.now.Roots {
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
func (j *judgement) survivors() (had, left map[string]int) {
	had, left = make(map[string]int), make(map[string]int)
	troubled := make(map[userdata.Name]bool)
	for _, p := range j.now.Problems {
		troubled[p.Name] = p.Reason == scan.Unreadable || p.Reason == scan.Busy || troubled[p.Name]
	}
	for _, it := range j.ref.Manifest.Items() {
		if it.Name.IsRoot() {
			continue
		}
		root := it.Name.Root()
		had[root]++
		if j.survives(it, troubled) {
			left[root]++
		}
	}
	return had, left
}

func (j *judgement) survives(it manifest.Item, troubled map[userdata.Name]bool) bool {
	if _, there := j.now.Manifest.Find(it.Name); there {
		return true
	}
	_, moved := j.arrivals.of(it)
	return moved || obscured(troubled, it.Name)
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

// misses tells whether a root lay on a file system that is not mounted now. Its
// mount point then belongs to the file system below.
func (j *judgement) misses(r scan.RootState) bool {
	was := j.ref.Mounts[r.Name]
	return was != "" && r.Mount != "" && r.Mount != was && (r.Mount == "/" || strings.HasPrefix(was, r.Mount+"/"))
}

// unmounted tells whether an item lay below a mount point, inside a root, at which
// nothing is mounted now.
func (j *judgement) unmounted(n userdata.Name) (at userdata.Name, yes bool) {
	for ; !n.IsRoot(); n = n.Parent() {
		if j.ref.Mounted[n] && !slices.Contains(j.now.Mounts, n) {
			return n, true
		}
	}
	return "", false
}
