package detect

import (
	"cmp"
	"fmt"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// judgeContents judges an item that is there, readable and of its old type.
func (j *judgement) judgeContents(want, got manifest.Item) (Verdict, string) {
	switch {
	case got.Type == manifest.File && j.altered(got):
		return j.judgeAltered(want.Name, "edited since the last backup; its contents are not those that were written")
	case want.SameContents(got):
		return j.metadataVerdict(want, got)
	case got.Type != manifest.File:
		return Changed, "leads elsewhere"
	case transient(want.Name):
		return j.judgeTransient(want.Name)
	case got.Size == 0:
		return j.judgeEmptied(want, got)
	}
	nature := j.now.Nature(want.Name)
	if nature.Open {
		return Unavailable, "contents differ, and a program is in the middle of changing them"
	}
	d := difference{want: want, got: got, is: nature, was: j.before(want), written: j.written(want.Name)}
	reason := d.damage()
	switch {
	case reason != "":
		return Corrupted, reason
	case j.silent(want.Name):
		return j.judgeSilent(want.Name)
	}
	if reason := cmp.Or(j.mass.rewritten[want.Name], d.doubt()); reason != "" {
		return suspected, reason
	}
	if nature.Broken != "" && sameFormat(want, nature) {
		return Changed, fmt.Sprintf("contents differ, and are no valid %s any more: %s", nature.Kind, nature.Broken)
	}
	return Changed, "contents differ"
}

// judgeTransient judges contents that programs write and give up as they work: that
// they differ says nothing, unless nobody wrote them.
func (j *judgement) judgeTransient(n userdata.Name) (Verdict, string) {
	if !mapped(n) && j.silent(n) {
		return j.judgeSilent(n)
	}
	return Changed, "contents differ"
}

// before is what the saved contents were like, as far as this device remembers.
func (j *judgement) before(want manifest.Item) scan.Nature {
	if was, known := j.ref.Seen.Get(want.Name); known && was.Digest == want.Digest {
		return was.Nature
	}
	return scan.Nature{}
}

// difference is one between saved contents and those that lie there now.
type difference struct {
	want, got manifest.Item
	is, was   scan.Nature
	written   bool // the file's times or its inode moved
}

// damage says what in the contents no program writes on purpose; "" for nothing.
func (d difference) damage() string {
	switch {
	case d.is.Nul && d.was.Nul:
		return "" // a disk image that was never written to, and is larger now
	case d.is.Nul:
		return fmt.Sprintf("filled with NUL, %d bytes", d.got.Size)
	case d.is.Unsure:
		return "" // no valid contents are damage for being too many to look at
	case d.want.Kind == "":
		return d.cutShort()
	case d.is.Kind == d.want.Kind && formatOf(d.want.Kind).Marked():
		return d.cutShort()
	case d.is.Kind != "" && (d.is.Broken == "" || d.is.Odd):
		return "" // whole, if only as something else, or without its match
	case textual(d.want.Kind):
		return d.textDamage()
	case d.is.Broken != "":
		return fmt.Sprintf("was a valid %s, and is not: %s", formatOf(d.want.Kind), d.is.Broken)
	case !d.is.Text:
		return fmt.Sprintf("was a valid %s, and is nothing that is known", formatOf(d.want.Kind))
	}
	return ""
}

// textDamage tells damage from a mistake that somebody made while editing.
func (d difference) textDamage() string {
	switch {
	case d.is.Gap:
		return "holds blocks of NUL, and was text"
	case d.is.Torn:
		return "holds blocks of noise, and was text"
	case !d.is.Text && formatOf(d.want.Kind) != "" && !d.is.Stray:
		return fmt.Sprintf("was a valid %s, and is neither that nor text", formatOf(d.want.Kind))
	}
	return d.cutShort()
}

// doubt says what in the contents is harm, or what its owner has done: it was text, and is none. A
// format that nobody knows may have its place now, or somebody has typed what no text has.
func (d difference) doubt() string {
	switch {
	case d.is.Unsure, d.is.Nul, !textual(d.want.Kind), d.is.Text, d.is.Kind != "" && (d.is.Broken == "" || d.is.Odd):
		return ""
	case d.is.Stray:
		return "was text, and holds a few bytes that no text has"
	}
	return "was text, and is nothing that is known"
}

// cutShort recognises the beginning of what was saved, where it does not end as
// somebody would end it.
func (d difference) cutShort() string {
	if d.got.Size >= d.want.Size || !d.is.Begins(d.was) {
		return ""
	}
	if textual(d.want.Kind) && (d.is.Ended || !d.was.Ended && d.is.Broken == "" || d.trimmed()) {
		return ""
	}
	return fmt.Sprintf("cut short: the first %d of %d bytes", d.got.Size, d.want.Size)
}

// Of the last bytes of a text only the last is known, whether it ended a line. lineEnds is
// how many may be missing for them to be taken for line ends, and sector is where what
// a medium has lost begins.
const (
	lineEnds = 4
	sector   = 512
)

// trimmed tells whether a program wrote a text anew without the line ends at its end, as
// `printf %s "$(cat FILE)"` does: with the last byte alone nothing else can be gone.
func (d difference) trimmed() bool {
	missing := d.want.Size - d.got.Size
	if !d.written || !d.was.Ended {
		return false
	}
	return missing == 1 || missing <= lineEnds && d.is.Broken == "" && d.got.Size%sector != 0
}

// sameFormat tells whether contents are still meant to be what they were.
func sameFormat(want manifest.Item, is scan.Nature) bool {
	return want.Kind != "" && formatOf(want.Kind) == formatOf(is.Kind)
}

func (j *judgement) metadataVerdict(want, got manifest.Item) (Verdict, string) {
	switch {
	case want.SameMetadata(got):
		return Intact, ""
	case opened(want, got) && !modeless(j.now.FSType(want.Name)):
		return Corrupted, fmt.Sprintf("a secret that others may read now: mode %04o became %04o", want.Mode, got.Mode)
	case want.Mode != got.Mode && want.Type != manifest.Symlink:
		return Changed, fmt.Sprintf("mode %04o became %04o", want.Mode, got.Mode)
	case want.UID != got.UID || want.GID != got.GID:
		return Changed, fmt.Sprintf("owner %d:%d became %d:%d", want.UID, want.GID, got.UID, got.GID)
	case want.MTime != got.MTime && want.Type != manifest.Dir:
		return Changed, "modification time differs"
	}
	return Changed, "extended attributes differ"
}

// opened tells whether a private key that was closed to others is open to them.
// The programs that use it refuse it from then on, or should.
func opened(want, got manifest.Item) bool {
	others := formatOf(want.Kind).Closed()
	if _, listed := got.Xattrs["system.posix_acl_access"]; listed {
		return false // somebody named who else may, and the group's bits are a mask
	}
	return want.Type == manifest.File && want.Class.Critical() && want.Mode&others == 0 && got.Mode&others != 0
}
