package scan

import (
	"fmt"
	"slices"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// Reason says why an item, or something about it, could not be read.
type Reason string

// The reasons. Only an item with the reason Attributes stands in the manifest
// all the same.
const (
	Unreadable Reason = "unreadable" // the system refused: EACCES, EIO, ...
	Busy       Reason = "busy"       // changed each time it was read
	Special    Reason = "special"    // neither file, directory nor symlink
	BadName    Reason = "bad name"   // cannot be an item: too long, or in no root
	Attributes Reason = "attributes" // too many or too large extended attributes; some were left out
)

// Problem is an item that could not be read. What lies below a directory with a
// problem may be missing from the manifest for that reason alone.
type Problem struct {
	Name   userdata.Name // with the reason BadName whatever stood there, unchecked
	Reason Reason
	Err    error
}

// Error says what is wrong with which item, safe to print.
func (p Problem) Error() string {
	return fmt.Sprintf("cannot read %q (%s): %v", userdata.Printable(string(p.Name)), p.Reason, p.Err)
}

// Unwrap gives the cause.
func (p Problem) Unwrap() error { return p.Err }

// RootState is how a scan found a root.
type RootState struct {
	Name         string
	Missing      bool   // nothing lies at its path
	NotDirectory bool   // something else does
	Unreadable   bool   // it could not be opened
	ReadOnly     bool   // its file system is mounted read-only
	Mount        string // where its file system is mounted, or would be; "" for not known
	Device       uint64 // st_dev
	Inode        uint64
	Err          error // why it could not be opened
}

// Available tells whether the root could be walked.
func (r RootState) Available() bool { return !r.Missing && !r.NotDirectory && !r.Unreadable }

// Result is what a scan saw.
type Result struct {
	// Manifest lists all items that could be read, the roots themselves among
	// them.
	Manifest manifest.Manifest
	// Cache is the one to give to the next scan; after ScanNames, to merge with
	// Cache.Replace.
	Cache    Cache
	Problems []Problem
	Roots    []RootState // those that the scan had to look at, in the order of the space
	// Dangling holds the symlinks that lead nowhere.
	Dangling map[userdata.Name]bool
	// Mounts lists the directories at which something is mounted. The scan goes
	// into them.
	Mounts []userdata.Name
	// FSTypes tells of each st_dev that was met which file system it is of, by statfs's
	// f_type: more than one may be mounted inside a root.
	FSTypes map[uint64]int64
	// Absent lists, after ScanNames, the names asked for that no item has,
	// though their root is available and no Problem covers them.
	Absent    []userdata.Name
	FilesRead int64 // files hashed, not taken from the cache
	BytesRead int64
}

// Observed returns what the file system said about a file of the manifest.
func (r Result) Observed(n userdata.Name) (Observation, bool) {
	e, ok := r.Cache.Get(n)
	return e.Observation, ok
}

// Nature returns what the contents of a file of the manifest are like.
func (r Result) Nature(n userdata.Name) Nature {
	e, _ := r.Cache.Get(n)
	return e.Nature
}

// FSType is the f_type of the file system that a file lies on; of what is no file of
// the manifest, that of its root. It is 0 when nobody could tell.
func (r Result) FSType(n userdata.Name) int64 {
	if o, known := r.Observed(n); known {
		return r.FSTypes[o.Dev]
	}
	root, _ := r.Root(n.Root())
	return r.FSTypes[root.Device]
}

// Root returns the state of a root that the scan looked at.
func (r Result) Root(name string) (RootState, bool) {
	i := slices.IndexFunc(r.Roots, func(s RootState) bool { return s.Name == name })
	if i < 0 {
		return RootState{}, false
	}
	return r.Roots[i], true
}

// finish turns what the walk gathered into the result.
func (w *walk) finish() (Result, error) {
	w.gather()
	// A directory that changes while it is listed may give a name twice.
	items := sortByName(w.out.items, func(it *manifest.Item) userdata.Name { return it.Name })
	m, err := manifest.New(items)
	if err != nil {
		return Result{}, fmt.Errorf("cannot list the items: %w", err)
	}
	w.res.Manifest = m
	w.carryOver()
	w.res.Cache = w.out.cache(w.cache)
	return w.res, nil
}

// carryOver keeps the entries of files that this scan could not look at: when
// they come back, what was known of them still counts.
func (w *walk) carryOver() {
	for _, r := range w.res.Roots {
		if !r.Available() {
			w.out.files = append(w.out.files, w.cache.below(userdata.Name(r.Name))...)
		}
	}
	for _, p := range w.res.Problems {
		w.out.files = append(w.out.files, w.cache.below(p.Name)...)
	}
}

// findAbsent lists the names asked for that turned out not to exist.
func (r *Result) findAbsent(names []userdata.Name) {
	unknown := make(map[userdata.Name]bool, len(r.Problems))
	for _, p := range r.Problems {
		unknown[p.Name] = true
	}
	for _, n := range names {
		if s, ok := r.Root(n.Root()); !ok || !s.Available() || coveredBy(unknown, n) {
			continue
		}
		if _, ok := r.Manifest.Find(n); !ok {
			r.Absent = append(r.Absent, n)
		}
	}
}

// With returns the result with what it says of the names, and of all that lies
// below them, replaced by what a later ScanNames of them saw.
func (r Result) With(names []userdata.Name, part Result) (Result, error) {
	set := make(map[userdata.Name]bool, len(names))
	for _, n := range names {
		set[n] = true
	}
	return r.replace(func(n userdata.Name) bool { return coveredBy(set, n) }, part)
}
