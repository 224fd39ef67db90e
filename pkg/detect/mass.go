package detect

import (
	"fmt"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// mass is what only many items together tell.
type mass struct {
	lost    map[string]string // by root, why what is missing there is no deletion
	emptied map[string]string // by root, why nobody has emptied what is empty there
	noise   bool              // many files gave way to what nobody can read
	// rewritten are the files in whose places that has come, of which there are many, with the reason.
	rewritten map[userdata.Name]string
}

// From massLeast files on, and where two of three are gone, nobody has tidied up.
const (
	massLeast = 20
	massPart  = 2.0 / 3
)

// Many is how many files that gave way to noise are no choice of the owner's, or
// none that a file stands for alone.
const Many = 10

// findMass looks at all that is missing from what the reference has.
func (j *judgement) findMass() mass {
	had, gone, empty := make(map[string]int), make(map[string]int), make(map[string]int)
	noisy := 0
	for _, want := range j.ref.Manifest.Items() {
		if want.Type != manifest.File || transient(want.Name) || j.ref.forgotten(want.Name) || j.keptByGit(want.Name) {
			continue
		}
		had[want.Name.Root()]++
		if is, there := j.now.Manifest.Find(want.Name); there && is.Type == manifest.File && is.Size == 0 && want.Size > 0 {
			empty[want.Name.Root()]++
		}
		if !j.missing(want.Name) {
			continue
		}
		_, sealed := j.arrivals.noise(want)
		if sealed {
			noisy++
		}
		if _, moved := j.arrivals.of(want); !moved {
			gone[want.Name.Root()]++
		}
	}
	return mass{lost: massLosses(had, gone, "gone"), emptied: massLosses(had, empty, "emptied"), noise: noisy >= Many, rewritten: j.findRewritten()}
}

func massLosses(had, gone map[string]int, how string) map[string]string {
	lost := make(map[string]string)
	for root, n := range gone {
		if n >= massLeast && float64(n) >= massPart*float64(had[root]) {
			lost[root] = fmt.Sprintf("%s together with most of what lay here: %d of %d files", how, n, had[root])
		}
	}
	return lost
}

// missing tells whether nothing has the name, and nothing hides it.
func (j *judgement) missing(n userdata.Name) bool {
	_, there := j.there.Find(n)
	_, bad := j.problems[n]
	return !there && !bad && !j.hidden(n)
}
