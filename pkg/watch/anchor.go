package watch

import (
	"golang.org/x/sys/unix"
)

const (
	selfMask = unix.IN_MOVE_SELF | unix.IN_DELETE_SELF | unix.IN_ONLYDIR | unix.IN_DONT_FOLLOW | unix.IN_MASK_ADD
	wayMask  = selfMask | unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO
)

// anchor watches the ways to some places: each directory from / down to the place
// itself, and where symlinks lead on the way. It tells when a place may have come, gone, or turned into another one,
// and says nothing of what happens beside the way or inside a place.
type anchor struct {
	ino  *inotify
	ways map[int32]map[string]bool // names that matter in a watched directory
}

func openAnchor() (*anchor, error) {
	ino, err := openInotify()
	if err != nil {
		return nil, err
	}
	return &anchor{ino: ino, ways: make(map[int32]map[string]bool)}, nil
}

// set watches the ways to these absolute paths, and no others. What does not
// exist is not watched: the directory above it tells when it comes. It returns the
// paths of which something may come or go unnoticed, for a directory on the way
// cannot be watched, or looked into.
func (a *anchor) set(paths []string) (blind map[string]bool) {
	t := trail{ino: a.ino, ways: make(map[int32]map[string]bool)}
	blind = make(map[string]bool)
	for _, p := range paths {
		if err := t.follow(p); err != nil {
			blind[p] = true
		}
	}
	for wd := range a.ways {
		if _, ok := t.ways[wd]; !ok {
			a.ino.remove(wd)
		}
	}
	a.ways = t.ways
	return blind
}

// read takes in what has happened. moved tells that a place is worth a look; lost
// that a file system on a way was unmounted, or that events were dropped, so that
// a watch may have ended although the place looks as it did.
func (a *anchor) read() (moved, lost bool, err error) {
	events, err := a.ino.read()
	for _, e := range events {
		if e.mask&(unix.IN_Q_OVERFLOW|unix.IN_UNMOUNT) != 0 {
			lost = true
		}
		names, ok := a.ways[e.wd]
		if !ok {
			continue
		}
		if e.mask&unix.IN_IGNORED != 0 {
			delete(a.ways, e.wd)
		}
		moved = moved || names[e.name] || e.mask&(unix.IN_MOVE_SELF|unix.IN_DELETE_SELF) != 0
	}
	return moved, lost, err
}
