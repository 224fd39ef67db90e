package watch

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	selfMask = unix.IN_MOVE_SELF | unix.IN_DELETE_SELF | unix.IN_ONLYDIR | unix.IN_MASK_ADD
	wayMask  = selfMask | unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO
)

// anchor watches the ways to some places: each directory from / down to the place
// itself. It tells when a place may have come, gone, or turned into another one,
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
// exist is not watched: the directory above it tells when it comes.
func (a *anchor) set(paths []string) {
	ways := make(map[int32]map[string]bool)
	for dir, names := range waysTo(paths) {
		mask := uint32(wayMask)
		if len(names) == 0 {
			mask = selfMask
		}
		wd, err := a.ino.add(dir, mask)
		if err != nil {
			continue
		}
		if ways[wd] == nil {
			ways[wd] = make(map[string]bool)
		}
		for name := range names {
			ways[wd][name] = true
		}
	}
	for wd := range a.ways {
		if _, ok := ways[wd]; !ok {
			a.ino.remove(wd)
		}
	}
	a.ways = ways
}

// waysTo lists the directories on the ways, each with the names that lead on.
func waysTo(paths []string) map[string]map[string]bool {
	ways := make(map[string]map[string]bool)
	for _, p := range paths {
		if ways[p] == nil {
			ways[p] = make(map[string]bool)
		}
		for dir := p; dir != "/" && dir != "."; {
			name := filepath.Base(dir)
			dir = filepath.Dir(dir)
			if ways[dir] == nil {
				ways[dir] = make(map[string]bool)
			}
			ways[dir][name] = true
		}
	}
	return ways
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
