package detect

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// rewriteTime is how far apart the first and the last of Many files may have been rewritten
// for that to be one event. Who encrypts a device for ransom is in a hurry.
const rewriteTime = int64(time.Hour)

// rewrite is a file whose contents gave way, in its place, to what nobody can read.
type rewrite struct {
	name userdata.Name
	at   int64 // when it was written, by the file system
	open bool  // what it held was not noise
}

// findRewritten finds the files of which many in one root were rewritten with noise within a
// short time, and says why that is no work of a program's. Their owner may have encrypted
// them all the same. Noise that gave way to noise proves nothing, but in such company it
// is part of the event.
func (j *judgement) findRewritten() map[userdata.Name]string {
	byRoot := make(map[string][]rewrite)
	for _, want := range j.ref.Manifest.Items() {
		if r, is := j.rewritten(want); is {
			byRoot[want.Name.Root()] = append(byRoot[want.Name.Root()], r)
		}
	}
	found := make(map[userdata.Name]string)
	for _, all := range byRoot {
		event := together(all)
		for _, n := range event {
			found[n] = fmt.Sprintf("rewritten with what nobody can read, one of %d files here within a short time", len(event))
		}
	}
	return found
}

func (j *judgement) rewritten(want manifest.Item) (rewrite, bool) {
	got, there := j.now.Manifest.Find(want.Name)
	if want.Type != manifest.File || !there || got.Type != manifest.File || want.SameContents(got) || transient(want.Name) {
		return rewrite{}, false
	}
	is, _ := j.now.Observed(want.Name)
	r := rewrite{name: want.Name, at: is.CTime, open: want.Kind != "" && !formatOf(want.Kind).Sealed()}
	if was := j.before(want); len(was.Marks) > 0 {
		r.open = !was.Dense
	}
	return r, unreadable(j.now.Nature(want.Name))
}

// together lists the rewrites that belong to one event, with those of noise in its time.
func together(all []rewrite) []userdata.Name {
	slices.SortFunc(all, func(a, b rewrite) int { return cmp.Compare(a.at, b.at) })
	in, first, held := make([]bool, len(all)), 0, 0
	for i, r := range all {
		if r.open {
			held++
		}
		for ; r.at-all[first].at > rewriteTime; first++ {
			if all[first].open {
				held--
			}
		}
		if held >= Many {
			for k := i; k >= first && !in[k]; k-- {
				in[k] = true
			}
		}
	}
	var names []userdata.Name
	for i, r := range all {
		if in[i] {
			names = append(names, r.name)
		}
	}
	return names
}
