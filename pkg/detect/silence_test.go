package detect

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

func TestUnwritten(t *testing.T) {
	was := scan.Observation{Dev: 1, Ino: 2, Size: 3, MTime: 4, CTime: 5, Mode: 0o100600}
	type change = func(*scan.Observation)
	dev := func(o *scan.Observation) { o.Dev++ }
	ino := func(o *scan.Observation) { o.Ino++ }
	size := func(o *scan.Observation) { o.Size++ }
	mtime := func(o *scan.Observation) { o.MTime++ }
	ctime := func(o *scan.Observation) { o.CTime++ }
	for _, c := range []struct {
		name   string
		fsType int64
		change change
		want   bool
	}{
		{"nothing", unix.EXT4_SUPER_MAGIC, func(*scan.Observation) {}, true},
		{"mounted again, as another device", unix.EXT4_SUPER_MAGIC, dev, true},
		{"replaced", unix.EXT4_SUPER_MAGIC, ino, false},
		{"size", unix.EXT4_SUPER_MAGIC, size, false},
		{"written, time set back", unix.EXT4_SUPER_MAGIC, ctime, false},
		{"written", unix.BTRFS_SUPER_MAGIC, mtime, false},
		{"another layer", unix.OVERLAYFS_SUPER_MAGIC, dev, false},
		{"FAT gives a new inode", fat, ino, true},
		{"FAT, mounted again", fat, func(o *scan.Observation) { dev(o); ino(o); ctime(o) }, true},
		{"FAT, written", fat, mtime, false},
		{"exFAT, another size", exFAT, size, false},
	} {
		is := was
		c.change(&is)
		if got := unwritten(was, is, c.fsType); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestEndOfTheLastLine: what nobody wrote is cut short also where only the end of the last
// line is missing.
func TestEndOfTheLastLine(t *testing.T) {
	was := scan.Nature{Text: true, Ended: true, Marks: []uint32{1}}
	is := scan.Nature{Text: true, Marks: []uint32{1}}
	for written, short := range map[bool]bool{true: false, false: true} {
		d := difference{
			want: manifest.Item{Size: 20, Kind: scan.KindText}, got: manifest.Item{Size: 19, Kind: scan.KindText},
			is: is, was: was, written: written,
		}
		if reason := d.damage(); (reason != "") != short {
			t.Errorf("written %v: %q", written, reason)
		}
	}
}

// TestModeOfTheMount: on FAT the mode is that of the mount, and a private key has
// been as open as everything else from the beginning.
func TestModeOfTheMount(t *testing.T) {
	want := manifest.Item{Name: "keys/id", Class: userdata.Keys, Type: manifest.File, Mode: 0o700, Kind: "openssh-key"}
	got := want
	got.Mode = 0o755
	for fsType, verdict := range map[int64]Verdict{unix.EXT4_SUPER_MAGIC: Corrupted, fat: Changed, exFAT: Changed} {
		j := &judgement{now: scan.Result{Roots: []scan.RootState{{Name: "keys", Device: 1}}, FSTypes: map[uint64]int64{1: fsType}}}
		if v, reason := j.metadataVerdict(want, got); v != verdict {
			t.Errorf("%#x: %s, %s", fsType, v, reason)
		}
	}
}
