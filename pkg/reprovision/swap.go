package reprovision

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// replace makes the item under a temporary name beside its place and moves it
// there once it is whole.
func replace(root *os.Root, rel string, a Action, q *Run, make func(tmp string) error) error {
	tmp := tempBeside(rel)
	err := make(tmp)
	if err == nil {
		err = swapIn(root, tmp, rel, a, q)
	}
	if err != nil {
		if gone := root.Remove(tmp); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, fmt.Errorf("cannot remove the unfinished %q: %w", userdata.Printable(tmp), gone))
		}
	}
	return err
}

func swapIn(root *os.Root, tmp, rel string, a Action, q *Run) error {
	if err := setLinkOwner(root, tmp, a.Want); err != nil {
		return err
	}
	empty, err := clearPlace(root, rel, a, q)
	if err != nil {
		return err
	}
	if empty {
		err = renameNew(root, tmp, rel)
	} else {
		err = root.Rename(tmp, rel)
	}
	if err != nil {
		return fmt.Errorf("cannot move it into place: %w", err)
	}
	return syncDir(root, path.Dir(rel))
}

// clearPlace keeps what lies at rel and makes sure that a rename can go there.
// It tells whether the place is empty now. Where it is not, the last thing done
// was to see that what lies there is what was kept.
func clearPlace(root *os.Root, rel string, a Action, q *Run) (empty bool, err error) {
	info, err := occupant(root, rel)
	if err != nil || info == nil {
		return info == nil, err
	}
	if err := unchanged(root, rel, info, a); err != nil {
		return false, err
	}
	if info.IsDir() {
		if err := root.Remove(rel); err != nil { // refuses a directory with anything in it
			return false, fmt.Errorf("%w: %w", ErrDirectoryInWay, err)
		}
		return true, nil
	}
	if err := keep(root, rel, a.Want.Name, info, q); err != nil {
		return false, err
	}
	if a.Want.Type != manifest.Dir {
		return false, nil
	}
	if err := root.Remove(rel); err != nil { // a directory cannot replace a file
		return false, fmt.Errorf("cannot clear the place: %w", err)
	}
	return true, nil
}

// keep puts what lies at rel, seen as info, into the quarantine. Somebody may
// write to it meanwhile: then it is not to be replaced.
func keep(root *os.Root, rel string, n userdata.Name, info fs.FileInfo, q *Run) error {
	if err := q.Take(root, rel, n, info); err != nil {
		return err
	}
	now, err := occupant(root, rel)
	if err != nil {
		return err
	}
	if now == nil || observe(now) != observe(info) {
		return ErrChangedSince
	}
	return nil
}

// renameNew moves tmp to the empty place rel in the same directory. Whatever
// was put there since it was found empty stays, with ErrChangedSince.
func renameNew(root *os.Root, tmp, rel string) error {
	d, err := openDir(root, path.Dir(rel))
	if err != nil {
		return err
	}
	defer d.Close()
	fd := int(d.Fd())
	err = unix.Renameat2(fd, path.Base(tmp), fd, path.Base(rel), unix.RENAME_NOREPLACE)
	switch {
	case errors.Is(err, unix.EEXIST):
		return ErrChangedSince
	case errors.Is(err, unix.EINVAL): // the file system does not know the flag
		return renameChecked(root, tmp, rel)
	}
	return err
}

// renameChecked is renameNew as near as a file system comes to it that has no
// rename which refuses to replace.
func renameChecked(root *os.Root, tmp, rel string) error {
	info, err := occupant(root, rel)
	if err != nil {
		return err
	}
	if info != nil {
		return ErrChangedSince
	}
	return root.Rename(tmp, rel)
}
