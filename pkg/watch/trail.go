package watch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many symlinks the kernel follows on one way.
const maxLinks = 40

// trail goes along ways and watches each directory on them.
type trail struct {
	ino  *inotify
	ways map[int32]map[string]bool // names that matter in a watched directory
}

// follow goes as far as there are directories. Each is watched before its entry is
// looked at, so that nothing that happens to that is missed. It goes on where one
// cannot be watched, and says so at the end.
func (t *trail) follow(path string) (blind error) {
	at, links := "/", 0
	for rest := steps(path); len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == ".." {
			at = filepath.Dir(at) // no symlink is left in it
			continue
		}
		blind = errors.Join(blind, t.watch(at, name))
		next := filepath.Join(at, name)
		st, err := os.Lstat(next)
		switch {
		case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
			return blind
		case err != nil:
			return errors.Join(blind, err)
		case st.IsDir():
			at = next
		case st.Mode()&os.ModeSymlink == 0:
			return blind
		default:
			if links++; links > maxLinks {
				return errors.Join(blind, fmt.Errorf("cannot follow %q: %w", path, unix.ELOOP))
			}
			to, err := os.Readlink(next)
			if err != nil {
				return blind // it was replaced just now, which is told
			}
			if filepath.IsAbs(to) {
				at = "/"
			}
			rest = append(steps(to), rest...)
		}
	}
	return errors.Join(blind, t.watch(at, ""))
}

// steps are the names on a way, from left to right, but for those that lead nowhere.
func steps(path string) []string {
	var names []string
	for name := range strings.SplitSeq(path, "/") {
		if name != "" && name != "." {
			names = append(names, name)
		}
	}
	return names
}

// watch watches a directory, and what happens to one of its entries if that is named.
// One that has gone meanwhile is missed in the directory above it.
func (t *trail) watch(dir, name string) error {
	mask := uint32(selfMask)
	if name != "" {
		mask = wayMask
	}
	wd, err := t.ino.add(dir, mask)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot watch %q: %w", dir, err)
	}
	if t.ways[wd] == nil {
		t.ways[wd] = make(map[string]bool)
	}
	if name != "" {
		t.ways[wd][name] = true
	}
	return nil
}
