package detect_test

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

const exFAT = 0x2011BAB0

// TestSilenceOnANestedMount: files differ though lstat says what it said. What lies on
// a file system without a change time of its own, mounted inside a root that has one,
// may have been written by a program that set the time back.
func TestSilenceOnANestedMount(t *testing.T) {
	p := newKnowingPhone(t)
	p.must(os.Mkdir(p.path("user-data/card"), 0o700))
	if err := unix.Mount("none", p.path("user-data/card"), "ramfs", 0, ""); err != nil {
		t.Skipf("cannot mount: %v", err)
	}
	defer unix.Unmount(p.path("user-data/card"), 0)
	p.write("user-data/card/f", "as it is now")
	now := p.look()
	p.ref = differed(t, now, "user-data/a", "user-data/card/f")
	root, _ := now.Root("user-data")
	card, _ := now.Observed("user-data/card/f")

	now.FSTypes = map[uint64]int64{root.Device: unix.EXT4_SUPER_MAGIC, card.Dev: exFAT}
	p.expect(detect.Judge(p.space, p.ref, now), "user-data/a corrupted", "user-data/card/f unavailable")
	now.FSTypes = map[uint64]int64{root.Device: exFAT, card.Dev: unix.EXT4_SUPER_MAGIC}
	p.expect(detect.Judge(p.space, p.ref, now), "user-data/a unavailable", "user-data/card/f corrupted")
}

// TestSilentDamageOfFilesThatComeAndGo: whatever the name, nobody wrote these bytes.
func TestSilentDamageOfFilesThatComeAndGo(t *testing.T) {
	p := newKnowingPhone(t)
	for _, n := range []string{"saved.bak", "notes.old", "notes.txt~", "film.part", "written.bak"} {
		p.write("user-data/"+n, "contents of "+n)
	}
	now := p.look()
	root, _ := now.Root("user-data")
	now.FSTypes = map[uint64]int64{root.Device: unix.EXT4_SUPER_MAGIC}
	p.ref = differed(t, now, "user-data/saved.bak", "user-data/notes.old", "user-data/notes.txt~", "user-data/film.part")
	p.write("user-data/written.bak", "other contents")
	now = p.look()
	now.FSTypes = map[uint64]int64{root.Device: unix.EXT4_SUPER_MAGIC}
	p.expect(detect.Judge(p.space, p.ref, now), "user-data/film.part corrupted", "user-data/notes.old corrupted",
		"user-data/notes.txt~ corrupted", "user-data/saved.bak corrupted", "user-data/written.bak changed")
}

// differed makes a reference of what is seen, in which some files had other contents
// when they were observed as they are.
func differed(t *testing.T, now scan.Result, names ...userdata.Name) detect.Reference {
	t.Helper()
	items := slices.Clone(now.Manifest.Items())
	raw, err := now.Cache.Marshal()
	for i := range items {
		if slices.Contains(names, items[i].Name) {
			was := manifest.Digest{byte(i)}
			raw = bytes.ReplaceAll(raw, items[i].Digest[:], was[:])
			items[i].Digest = was
		}
	}
	ref := detect.Reference{}
	if err == nil {
		err = ref.Seen.Unmarshal(raw)
	}
	if err == nil {
		ref.Manifest, err = manifest.New(items)
	}
	if err != nil {
		t.Fatal(err)
	}
	return ref
}
