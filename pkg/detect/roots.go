package detect

import (
	"slices"

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
	had, left, here := j.survivors()
	losses := make(map[string]rootLoss)
	for _, r := range j.now.Roots {
		if had[r.Name] == 0 {
			continue
		}
		switch {
		case here[r.Name] == 0 && r.NotMounted(j.ref.Mounts[r.Name]):
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
// says nothing. Of those, here counts what is left in the root itself: that contents lie
// in another root, too, says nothing of whether the root's file system is mounted.
func (j *judgement) survivors() (had, left, here map[string]int) {
	had, left, here = make(map[string]int), make(map[string]int), make(map[string]int)
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
		at, survives := j.survivesAt(it, troubled)
		if survives {
			left[root]++
		}
		if survives && at.Root() == root {
			here[root]++
		}
	}
	return had, left, here
}

func (j *judgement) survivesAt(it manifest.Item, troubled map[userdata.Name]bool) (at userdata.Name, survives bool) {
	if _, there := j.there.Find(it.Name); there || obscured(troubled, it.Name) {
		return it.Name, true
	}
	return j.arrivals.of(it)
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
