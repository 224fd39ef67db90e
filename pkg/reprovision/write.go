package reprovision

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/pkg/xattr"

	"github.com/reprovision/reprovision/pkg/manifest"
)

// contents writes the saved contents of an item.
type contents func(ctx context.Context, w io.Writer) error

// writeItem puts one item in place. It is atomic: what lay there stays until
// the new one is whole and on the medium, and is kept in the quarantine.
func writeItem(ctx context.Context, root *os.Root, a Action, q *Run, read contents) error {
	rel := a.Want.Name.Rel()
	if rel != "." {
		if err := checkParents(root, rel); err != nil {
			return err
		}
	}
	switch a.Want.Type {
	case manifest.Dir:
		return makeDir(root, rel, a, q)
	case manifest.Symlink:
		return replace(root, rel, a, q, func(tmp string) error { return root.Symlink(a.Want.Target, tmp) })
	case manifest.File:
		return replace(root, rel, a, q, func(tmp string) error { return writeFile(ctx, root, tmp, a.Want, read) })
	}
	return fmt.Errorf("cannot restore a %s", a.Want.Type)
}

func writeFile(ctx context.Context, root *os.Root, tmp string, want manifest.Item, read contents) error {
	f, err := root.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot create a file: %w", err)
	}
	err = fillFile(ctx, f, want, read)
	if cerr := f.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("cannot close the file: %w", cerr)
	}
	if err != nil {
		return err
	}
	when := time.Unix(0, want.MTime)
	if err := root.Chtimes(tmp, when, when); err != nil {
		return fmt.Errorf("cannot set the modification time: %w", err)
	}
	return nil
}

func fillFile(ctx context.Context, f *os.File, want manifest.Item, read contents) error {
	if err := read(ctx, f); err != nil {
		return fmt.Errorf("cannot write the contents: %w", err)
	}
	if err := setMetadata(f, want); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("cannot sync the file: %w", err)
	}
	return nil
}

// setMetadata sets owner, extended attributes and mode, in this order: a change
// of owner clears setuid bits and file capabilities.
func setMetadata(f *os.File, want manifest.Item) error {
	if err := setOwner(f, want); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(want.Xattrs)) {
		if err := xattr.FSet(f, name, want.Xattrs[name]); err != nil {
			return fmt.Errorf("cannot set an extended attribute: %w", err)
		}
	}
	if err := f.Chmod(fileMode(want.Mode)); err != nil {
		return fmt.Errorf("cannot set the mode: %w", err)
	}
	return nil
}

func setOwner(f *os.File, want manifest.Item) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("cannot look at the new file: %w", err)
	}
	if uid, gid := owner(info); uid == want.UID && gid == want.GID {
		return nil
	}
	if err := f.Chown(int(want.UID), int(want.GID)); err != nil {
		return fmt.Errorf("cannot give it to its owner %d:%d: %w", want.UID, want.GID, err)
	}
	return nil
}

// setLinkOwner gives a symlink its owner and time; files have theirs already.
func setLinkOwner(root *os.Root, tmp string, want manifest.Item) error {
	if want.Type != manifest.Symlink {
		return nil
	}
	info, err := root.Lstat(tmp)
	if err != nil {
		return fmt.Errorf("cannot look at the new symlink: %w", err)
	}
	if uid, gid := owner(info); uid != want.UID || gid != want.GID {
		if err := root.Lchown(tmp, int(want.UID), int(want.GID)); err != nil {
			return fmt.Errorf("cannot give the symlink to its owner: %w", err)
		}
	}
	return setLinkTime(root, tmp, want.MTime)
}

// fileMode turns the 07777 bits of a data set into Go's.
func fileMode(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	if mode&0o4000 != 0 {
		m |= fs.ModeSetuid
	}
	if mode&0o2000 != 0 {
		m |= fs.ModeSetgid
	}
	if mode&0o1000 != 0 {
		m |= fs.ModeSticky
	}
	return m
}
