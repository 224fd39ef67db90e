package detect

import (
	"fmt"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
)

// judgeEmptied judges a file that has no contents any more. A log that was copied away first
// has lost nothing; service books and keys of which an empty one is none are not emptied
// without a word to us, as they are not deleted; and what a crash has emptied nobody has.
// For the rest a person may have done it, or a program that could write no more.
func (j *judgement) judgeEmptied(want, got manifest.Item) (Verdict, string) {
	had := fmt.Sprintf("cut to zero, had %d bytes", want.Size)
	if to, copied := j.arrivals.of(want); copied {
		return Changed, "emptied; what it held is in " + quoted(to)
	}
	switch {
	case j.mass.emptied[want.Name.Root()] != "":
		return Corrupted, had + ", " + j.mass.emptied[want.Name.Root()]
	case j.emptiedByCrash(want):
		return Corrupted, had + ": what had been written to it was lost when the system went down"
	case want.Class.Critical() && !mayBeEmpty(want.Kind):
		return Corrupted, had + fmt.Sprintf(", and an empty file is no valid %s", formatOf(want.Kind))
	}
	return suspected, had
}

func mayBeEmpty(kind string) bool {
	return kind == "" || kind == scan.KindText || formatOf(kind).Hollow()
}

// emptiedByCrash tells whether a file was written last before the system went down without
// an orderly end, and was not empty when it was last found: file systems that allocate late
// (ext4, XFS, btrfs) may have the new size of such a file by then and not its contents.
func (j *judgement) emptiedByCrash(want manifest.Item) bool {
	is, there := j.now.Observed(want.Name)
	if last, known := j.ref.Last.Get(want.Name); known && last.Size == 0 {
		return false
	}
	return there && !timeless(j.now.FSType(want.Name)) && is.CTime < j.ref.Crashed
}
