package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/reprovision/reprovision/pkg/userdata"
	"golang.org/x/sys/unix"
)

// errNoDirectory is wrapped when a root is not there to be watched.
var errNoDirectory = errors.New("no directory lies there")

// place is what lies at a root's path: which directory, under which path once
// symlinks are resolved, and what is mounted below it.
type place struct {
	dev, ino uint64
	path     string
	mounts   []string
	readOnly []string // of the path and what is mounted below it, where nothing can be written
}

// same tells whether it need not be watched anew.
func (p place) same(o place) bool {
	return p.dev == o.dev && p.ino == o.ino && p.path == o.path && slices.Equal(p.mounts, o.mounts)
}

// look finds out what lies at the path now.
func look(path string) (place, error) {
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return place{}, errNoDirectory
	}
	if err != nil {
		return place{}, fmt.Errorf("cannot resolve %q: %w", path, err)
	}
	var st unix.Stat_t
	var sfs unix.Statfs_t
	if err := errors.Join(unix.Stat(real, &st), unix.Statfs(real, &sfs)); err != nil {
		return place{}, fmt.Errorf("cannot stat %q: %w", real, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return place{}, errNoDirectory
	}
	mounts, readOnly, err := mountsBelow(real)
	if err != nil {
		return place{}, err
	}
	if int64(sfs.Flags)&unix.ST_RDONLY != 0 {
		readOnly = append(readOnly, real)
	}
	return place{dev: uint64(st.Dev), ino: uint64(st.Ino), path: real, mounts: mounts, readOnly: readOnly}, nil
}

// root is a root and how it is watched.
type root struct {
	userdata.Root
	place place
	via   Backend // "" while it is not watched
	err   string  // why not, as last logged
	blind bool    // and nothing tells when that changes
	// anchored: all of the way to it is watched, as far as there is one.
	anchored bool
}

// name turns a path below the root's place into an item's name.
func (r *root) name(path string) (userdata.Name, bool) {
	if !within(path, r.place.path) {
		return "", false
	}
	rel := strings.TrimPrefix(strings.TrimPrefix(path, r.place.path), "/")
	if rel == "" {
		rel = "."
	}
	n, err := userdata.NewName(r.Name, rel)
	return n, err == nil
}
