package reprovision

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
)

// Reasons why an item is not written. Each leaves what is there as it is.
var (
	ErrSymlinkInWay   = errors.New("a symlink is in the way")
	ErrDirectoryInWay = errors.New("a directory that is not empty is in the way")
	ErrNotDirectory   = errors.New("something that is no directory is in the way")
	ErrChangedSince   = errors.New("was changed while it was about to be restored")
)

// checkParents makes sure that every directory on the way to rel is a real
// one. os.Root already refuses to leave the root; a symlink inside it would
// still put the item where the data set did not say.
func checkParents(root *os.Root, rel string) error {
	dir := path.Dir(rel)
	if dir == "." {
		return nil
	}
	at := ""
	for part := range strings.SplitSeq(dir, "/") {
		at = path.Join(at, part)
		info, err := root.Lstat(at)
		switch {
		case err != nil:
			return fmt.Errorf("cannot look at %q: %w", at, err)
		case info.Mode()&fs.ModeSymlink != 0:
			return fmt.Errorf("%w: %q", ErrSymlinkInWay, at)
		case !info.IsDir():
			return fmt.Errorf("%w: %q", ErrNotDirectory, at)
		}
	}
	return nil
}

// occupant tells what lies at rel now, without following a symlink; nil when
// nothing does.
func occupant(root *os.Root, rel string) (fs.FileInfo, error) {
	info, err := root.Lstat(rel)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot look at what is there: %w", err)
	}
	return info, nil
}

// unchanged makes sure that what lies there is still what was judged. It is
// asked only where something lies.
func unchanged(root *os.Root, rel string, info fs.FileInfo, a Action) error {
	if a.Absent {
		return ErrChangedSince
	}
	now := observe(info)
	if !a.Known || a.Before == now {
		return nil
	}
	// The ctime alone moves when another of the file's names is replaced, as a
	// restore of both does, and FAT gives a file another inode when it has been out of
	// memory. The contents then tell.
	was := a.Before
	was.CTime, was.Ino, was.Dev = now.CTime, now.Ino, now.Dev
	if was == now && info.Mode().IsRegular() {
		if sum, err := digest(root, rel); err == nil && sum == a.Contents {
			return nil
		}
	}
	return ErrChangedSince
}

// digest hashes a file of the size that it has now.
func digest(root *os.Root, rel string) (sum manifest.Digest, err error) {
	f, err := root.OpenFile(rel, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}

// observe is what a scan would have noted of a file; zero, which no file is,
// where the system does not say.
func observe(info fs.FileInfo) scan.Observation {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return scan.Observation{}
	}
	return scan.Observation{
		Dev: uint64(st.Dev), Ino: st.Ino, Size: st.Size, //nolint:unconvert // Dev is 32 bits wide on some machines
		MTime: st.Mtim.Nano(), CTime: st.Ctim.Nano(), Mode: st.Mode,
	}
}

// syncDir makes the entries of a directory durable.
func syncDir(root *os.Root, rel string) error {
	d, err := root.Open(rel)
	if err != nil {
		return fmt.Errorf("cannot open the directory to sync it: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return fmt.Errorf("cannot sync the directory: %w", err)
	}
	return nil
}
