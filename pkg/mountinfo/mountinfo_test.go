package mountinfo_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/reprovision/reprovision/pkg/mountinfo"
)

func TestParse(t *testing.T) {
	data := []byte("22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n" +
		"36 22 0:31 /a\\134b /mnt/a\\040b\\134c ro,nosuid master:1 propagate_from:2 - tmpfs no\\040ne rw\n" +
		"37 22 8:2 / /data rw - ext4 /dev/sdb1 ro,seclabel\n" +
		"38 22 0:40 / /none rw -\n" + "41 22 0:41 / /a\rb\u00a0c rw - tmpfs  ro\n" +
		"x 22 8:1 / /bad rw - ext4 d rw\n" + "39 x 8:1 / /bad rw - ext4 d rw\n" +
		"40 22 8:1 / relative rw - ext4 d rw\n" + "short 1 2 3\n" + "\n")
	want := mountinfo.Table{
		{ID: 22, Parent: 1, Device: "8:1", Root: "/", Point: "/", Type: "ext4"},
		{ID: 36, Parent: 22, Device: "0:31", Root: `/a\b`, Point: `/mnt/a b\c`, Type: "tmpfs", ReadOnly: true},
		{ID: 37, Parent: 22, Device: "8:2", Root: "/", Point: "/data", Type: "ext4", ReadOnly: true},
		{ID: 38, Parent: 22, Device: "0:40", Root: "/", Point: "/none"},
		{ID: 41, Parent: 22, Device: "0:41", Root: "/", Point: "/a\rb\u00a0c", Type: "tmpfs", ReadOnly: true},
	}
	if got := mountinfo.Parse(data); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

// TestBrings: what only gives a place other rights, or waits to be mounted, brings no file
// system; everything else that is mounted does.
func TestBrings(t *testing.T) {
	for _, c := range []struct {
		name, table string // the last line is asked about
		want        string // mount point
	}{
		{"the root", "1 0 8:1 / /", "/"},
		{"another file system", "1 0 8:1 / /|2 1 8:2 / /home", "/home"},
		{"ReadWritePaths=", "1 0 8:1 / /|2 1 8:1 /etc /etc", "/"},
		{"ReadWritePaths= within ProtectHome=read-only", "1 0 8:1 / /|2 1 8:1 /home /home|3 2 8:1 /home/u /home/u", "/"},
		{"ReadWritePaths= in a home of its own", "1 0 8:1 / /|2 1 8:2 / /home|3 2 8:2 /u /home/u", "/home"},
		{"stacked on a file system", "1 0 8:1 / /|2 1 8:2 / /home|3 2 8:2 / /home", "/home"},
		{"stacked twice", "1 0 8:1 / /|2 1 8:2 / /home|3 2 8:2 / /home|4 3 8:2 / /home", "/home"},
		{"another directory bound there", "1 0 8:1 / /|2 1 8:1 /data/home /home", "/home"},
		{"in a directory that is bound there", "1 0 8:1 / /|2 1 8:1 /data/home /home|3 2 8:1 /data/home/u /home/u", "/home"},
		{"what lies below, bound over a file system", "1 0 8:1 / /|2 1 8:2 / /home|3 2 8:1 /home /home", "/home"},
		{"the same name on another file system", "1 0 8:1 / /|2 1 8:2 /home /home", "/home"},
		{"a name that begins alike", "1 0 8:1 / /|2 1 8:2 / /a|3 2 8:2 b /ab", "/ab"},
		{"overlay", "1 0 8:1 / /|2 1 0:50 / /home", "/home"},
		{"ReadWritePaths= on an overlay", "1 0 0:50 / /|2 1 0:50 /etc /etc", "/"},
		{"subvolume of btrfs, mounted beside", "1 0 0:30 /@ /|2 1 0:30 /@home /home", "/home"},
		{"subvolume of btrfs, self-bound", "1 0 0:30 /@ /|2 1 0:30 /@/home /home", "/"},
		{"subvolume of btrfs, in its own place", "1 0 0:30 / /|2 1 0:30 /@home /@home", "/"},
		{"automount that waits", "1 0 8:1 / /|2 1 0:60 / /home autofs", "/"},
		{"automount that was heeded", "1 0 8:1 / /|2 1 0:60 / /home autofs|3 2 8:2 / /home", "/home"},
		{"indirect automount", "1 0 8:1 / /|2 1 0:60 / /net autofs|3 2 0:61 / /net/x", "/net/x"},
		{"the directory below was deleted", "1 0 8:1 / /|2 1 8:1 /home//deleted /home", "/home"},
		{"below what is not to be seen", "2 1 8:1 /etc /etc", "/etc"},
		{"a circle", "1 2 8:1 / /|2 1 8:1 / /", "/"},
		{"its own parent", "1 1 8:1 / /", "/"},
	} {
		table := parse(c.table)
		got, ok := table.Brings(table[len(table)-1].ID)
		if !ok || got.Point != c.want {
			t.Errorf("%s: %v %+v, want %s", c.name, ok, got, c.want)
		}
	}
	if m, ok := parse("1 0 8:1 / /").Brings(2); ok {
		t.Errorf("a mount that is not there: %+v", m)
	}
}

// parse makes a table of lines of five fields, and a type.
func parse(short string) mountinfo.Table {
	var b strings.Builder
	for line := range strings.SplitSeq(short, "|") {
		f := append(strings.Fields(line), "ext4")
		b.WriteString(strings.Join(f[:5], " ") + " rw - " + f[5] + " dev rw\n")
	}
	return mountinfo.Parse([]byte(b.String()))
}

func TestRead(t *testing.T) {
	table, err := mountinfo.Read()
	if err != nil || len(table) == 0 {
		t.Errorf("%d mounts, %v", len(table), err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("36 22 0:31 / /mnt/a\\040b\\134c rw master:1 - tmpfs none rw\n22 36 0:31 / / ro - autofs x ro"))
	f.Add([]byte("1 1 8:1 / / rw"))
	f.Fuzz(func(t *testing.T, data []byte) {
		table := mountinfo.Parse(data)
		for _, m := range table {
			if !strings.HasPrefix(m.Point, "/") {
				t.Errorf("%+v", m)
			}
			if _, ok := table.Brings(m.ID); !ok {
				t.Errorf("%+v cannot be found", m)
			}
		}
	})
}
