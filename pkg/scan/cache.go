package scan

import (
	"bytes"
	"iter"
	"maps"
	"sort"
	"strings"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
	"golang.org/x/sys/unix"
)

// Observation is what the file system said about a file while its contents were
// known. It never leaves the device. Times are nanoseconds since the epoch; Mode
// is the whole st_mode.
type Observation struct {
	Dev, Ino           uint64
	Size, MTime, CTime int64
	Mode               uint32
}

func observe(st *unix.Stat_t) Observation {
	return Observation{
		Dev: uint64(st.Dev), Ino: uint64(st.Ino), Size: st.Size,
		MTime: st.Mtim.Nano(), CTime: st.Ctim.Nano(), Mode: uint32(st.Mode),
	}
}

// Entry is what a Cache knows about a file: how it was observed, and what its
// contents and extended attributes were then.
type Entry struct {
	Observation
	Digest manifest.Digest
	// Settled tells that the file had been left alone long enough before it was
	// read: a later change must have moved its ctime. A quick scan trusts no
	// other entry (git calls the others racy).
	Settled bool
	Nature
	// Xattrs are the extended attributes; Cut tells that some were left out.
	Xattrs map[string][]byte
	Cut    bool
}

type cacheEntry struct {
	name userdata.Name
	Entry
}

// Cache remembers the files of earlier scans, so that a quick scan need not read
// again what has not been touched. It is a value: no scan changes the one that
// it was given. The zero Cache is empty. An entry outlives a scan that could not
// look at its file, so what a Cache holds is no proof that the file exists.
type Cache struct {
	entries []cacheEntry // sorted by name, each name once
}

// Len is the number of files that the cache remembers.
func (c Cache) Len() int { return len(c.entries) }

// Get returns what the cache remembers of a file.
func (c Cache) Get(n userdata.Name) (Entry, bool) {
	e, ok := c.find(n)
	if !ok {
		return Entry{}, false
	}
	return e.Entry, true
}

// find returns an entry in its place, which nobody changes.
func (c Cache) find(n userdata.Name) (*cacheEntry, bool) {
	i, ok := c.search(n)
	if !ok {
		return nil, false
	}
	return &c.entries[i], true
}

func (c Cache) search(n userdata.Name) (int, bool) {
	return sort.Find(len(c.entries), func(i int) int { return strings.Compare(string(n), string(c.entries[i].name)) })
}

// same tells whether nothing is known otherwise.
func (e *Entry) same(o *Entry) bool {
	return e.Observation == o.Observation && e.Digest == o.Digest && e.Settled == o.Settled && e.Cut == o.Cut &&
		e.Nature.same(o.Nature) && maps.EqualFunc(e.Xattrs, o.Xattrs, bytes.Equal)
}

// trusted tells whether a file has surely not changed since.
func (e *Entry) trusted(seen Observation) bool { return e.Settled && e.Observation == seen }

// Replace returns the cache with everything at or below the names forgotten and
// the entries of part taken in: the way to bring a whole cache up to date after
// ScanNames.
func (c Cache) Replace(names []userdata.Name, part Cache) Cache {
	gone := make(map[userdata.Name]bool, len(names))
	for _, n := range names {
		gone[n] = true
	}
	return c.merge(func(n userdata.Name) bool { return coveredBy(gone, n) }, part)
}

// merge returns the cache without the entries whose names are gone, and with those
// of another; of two with one name the other's counts.
func (c Cache) merge(gone func(userdata.Name) bool, put Cache) Cache {
	all, next := make([]cacheEntry, 0, len(c.entries)+len(put.entries)), put.entries
	for i := range c.entries {
		name := c.entries[i].name
		for len(next) > 0 && next[0].name < name {
			all, next = append(all, next[0]), next[1:]
		}
		if !gone(name) && (len(next) == 0 || next[0].name != name) {
			all = append(all, c.entries[i])
		}
	}
	return Cache{entries: append(all, next...)}
}

// below returns the entries at the name and below it.
func (c Cache) below(n userdata.Name) []cacheEntry {
	var found []cacheEntry
	if i, ok := c.search(n); ok {
		found = append(found, c.entries[i])
	}
	first, _ := c.search(n + "/")
	end, _ := c.search(n + "0") // the byte after the slash
	return append(found, c.entries[first:end]...)
}

// newCache takes the entries over; of two with one name the first counts.
func newCache(entries []cacheEntry) Cache {
	return Cache{entries: sortByName(entries, func(e *cacheEntry) userdata.Name { return e.name })}
}

// coveredBy tells whether the set holds the name or a directory above it.
func coveredBy(set map[userdata.Name]bool, n userdata.Name) bool {
	for !set[n] {
		if n.IsRoot() {
			return false
		}
		n = n.Parent()
	}
	return true
}

// All yields the files that the cache remembers, sorted by name.
func (c Cache) All() iter.Seq2[userdata.Name, Entry] {
	return func(yield func(userdata.Name, Entry) bool) {
		for i := range c.entries {
			if !yield(c.entries[i].name, c.entries[i].Entry) {
				return
			}
		}
	}
}

// Apart returns the part of the cache that other does not know in the same way.
func (c Cache) Apart(other Cache) Cache {
	var apart []cacheEntry
	for i := range c.entries {
		e := &c.entries[i]
		if o, known := other.find(e.name); !known || !e.same(&o.Entry) {
			apart = append(apart, *e)
		}
	}
	return Cache{entries: apart}
}

// Names lists the files that the cache remembers.
func (c Cache) Names() []userdata.Name {
	names := make([]userdata.Name, len(c.entries))
	for i := range c.entries {
		names[i] = c.entries[i].name
	}
	return names
}

// With returns the cache with what it knows of the named files replaced by what
// other knows of them: nothing, where other does not know them.
func (c Cache) With(other Cache, names []userdata.Name) Cache {
	if len(names) == 0 {
		return c
	}
	set := make(map[userdata.Name]bool, len(names))
	for _, n := range names {
		set[n] = true
	}
	var known []cacheEntry
	for n := range set {
		if e, ok := other.find(n); ok {
			known = append(known, *e)
		}
	}
	return c.merge(func(n userdata.Name) bool { return set[n] }, newCache(known))
}

// Unsettled tells whether some file had been written to too lately, when it was
// read, for the entry to be trusted.
func (c Cache) Unsettled() bool {
	for i := range c.entries {
		if !c.entries[i].Settled {
			return true
		}
	}
	return false
}
