package scan

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// maxHands bounds how many files are looked at side by side.
const maxHands = 16

// entries looks at entries of a directory and returns the names of those that are
// directories in turn. It fails only when the context ends. Every hand is a walk of
// its own, so none waits for another; finish brings together what they found.
func (w *walk) entries(ctx context.Context, d dir, names []string) ([]string, error) {
	// Of what a restore has at work, or left behind, nothing is user data. In the order
	// of the cache what comes next is near at hand.
	names = slices.DeleteFunc(names, userdata.IsTemp)
	slices.Sort(names)
	isDir := make([]bool, len(names))
	var next atomic.Int64
	look := func(hand *walk) error {
		for i := next.Add(1) - 1; i < int64(len(names)); i = next.Add(1) - 1 {
			var err error
			if isDir[i], err = hand.entry(ctx, d, names[i]); err != nil {
				return err
			}
		}
		return nil
	}
	var others sync.WaitGroup
	for _, hand := range w.hands[:min(len(w.hands), max(len(names)-1, 0))] {
		others.Go(func() { _ = look(hand) }) // which fails when the context ends
	}
	err := look(w)
	others.Wait()
	if err == nil {
		err = ctx.Err()
	}
	var subdirs []string
	for i, name := range names {
		if isDir[i] {
			subdirs = append(subdirs, name)
		}
	}
	return subdirs, err
}

// harvest is what all hands have found, in no order. It grows in one piece, for it
// is the most of what a scan holds in memory.
type harvest struct {
	patience patience

	mu    sync.Mutex
	items []manifest.Item
	files []cacheEntry
	same  []int32 // places in the cache that the scan was given, of entries that hold as they are
}

// expect makes room for so many files and some directories.
func (h *harvest) expect(files int) {
	h.items = make([]manifest.Item, 0, files+files/16)
	h.same = make([]int32, 0, files)
}

// add takes an item in.
func (h *harvest) add(it manifest.Item) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.items = append(h.items, it)
}

// file takes a file in, and what is known of it: the entry at a place of the cache that
// the scan was given, or another, which stands for a place below 0.
func (h *harvest) file(it manifest.Item, at int, e *Entry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.items = append(h.items, it)
	if at >= 0 {
		h.same = append(h.same, int32(at))
		return
	}
	h.files = append(h.files, cacheEntry{name: it.Name, Entry: *e})
}

// cache makes the cache of all files, of which the old one is a part, or the whole.
func (h *harvest) cache(old Cache) Cache {
	fresh := newCache(h.files)
	slices.Sort(h.same)
	same := slices.Compact(h.same)
	switch {
	case len(same) == 0:
		return fresh
	case len(same) == old.Len() && fresh.Len() == 0:
		return old
	}
	all, next := make([]cacheEntry, 0, len(same)+fresh.Len()), fresh.entries
	for _, at := range same {
		e := &old.entries[at]
		for len(next) > 0 && next[0].name < e.name {
			all, next = append(all, next[0]), next[1:]
		}
		if len(next) == 0 || next[0].name != e.name {
			all = append(all, *e)
		}
	}
	return Cache{entries: append(all, next...)}
}

// gather takes over what the hands have found.
func (w *walk) gather() {
	for _, hand := range w.hands {
		w.res.Problems = append(w.res.Problems, hand.res.Problems...)
		maps.Copy(w.res.Dangling, hand.res.Dangling)
		maps.Copy(w.res.FSTypes, hand.res.FSTypes)
		w.res.FilesRead += hand.res.FilesRead
		w.res.BytesRead += hand.res.BytesRead
	}
	if len(w.hands) > 0 { // in an order that does not depend on which was faster
		slices.SortStableFunc(w.res.Problems, func(a, b Problem) int {
			return strings.Compare(string(a.Name), string(b.Name))
		})
	}
	w.hands = nil
}
