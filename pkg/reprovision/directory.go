package reprovision

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/manifest"
)

// makeDir makes a directory; one that is there gets its saved metadata at the
// end. A new one appears with its metadata on: a restore that is cut short must
// not leave behind what looks as if the owner had changed the mode.
func makeDir(root *os.Root, rel string, a Action, q *Run) error {
	info, err := occupant(root, rel)
	if err != nil || info != nil && info.IsDir() {
		return err
	}
	return replace(root, rel, a, q, func(tmp string) error {
		if err := root.Mkdir(tmp, 0o700); err != nil {
			return fmt.Errorf("cannot make the directory: %w", err)
		}
		want := a.Want
		if os.Geteuid() != 0 {
			want.Mode |= 0o700 // what lies in it must be written first
		}
		return dirMetadata(root, tmp, want)
	})
}

// dirMetadata sets a directory's owner, attributes and mode, durably.
func dirMetadata(root *os.Root, rel string, want manifest.Item) error {
	d, err := openDir(root, rel)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := setMetadata(d, want); err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		return fmt.Errorf("cannot sync the directory: %w", err)
	}
	return nil
}

// finishDir sets owner, attributes and mode of a restored directory once
// everything is in it.
func finishDir(root *os.Root, want manifest.Item) error {
	return dirMetadata(root, want.Name.Rel(), want)
}

func openDir(root *os.Root, rel string) (*os.File, error) {
	d, err := root.OpenFile(rel, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open the directory: %w", err)
	}
	return d, nil
}

// settleTime gives a directory its saved modification time if it holds just
// what it held when it was saved: then nobody's tool is told a lie by it.
func settleTime(root *os.Root, want manifest.Item, saved map[string]bool) error {
	d, err := openDir(root, want.Name.Rel())
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil || len(names) != len(saved) {
		return err
	}
	for _, n := range names {
		if !saved[n] {
			return nil
		}
	}
	when := time.Unix(0, want.MTime)
	return root.Chtimes(want.Name.Rel(), when, when)
}

// setLinkTime sets a symlink's own modification time; os.Root has no call
// that does not follow it.
func setLinkTime(root *os.Root, rel string, mtime int64) error {
	d, err := openDir(root, path.Dir(rel))
	if err != nil {
		return err
	}
	defer d.Close()
	ts := unix.NsecToTimespec(mtime)
	err = unix.UtimesNanoAt(int(d.Fd()), path.Base(rel), []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return fmt.Errorf("cannot set the symlink's time: %w", err)
	}
	return nil
}

func owner(info fs.FileInfo) (uid, gid uint32) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ^uint32(0), ^uint32(0)
	}
	return st.Uid, st.Gid
}
