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
}

// expect makes room for so many files and some directories.
func (h *harvest) expect(files int) {
	h.items = make([]manifest.Item, 0, files+files/16)
	h.files = make([]cacheEntry, 0, files+files/64)
}

// add takes an item in, and what is known of a file; nil for what is none.
func (h *harvest) add(it manifest.Item, e *Entry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.items = append(h.items, it)
	if e != nil {
		h.files = append(h.files, cacheEntry{name: it.Name, Entry: *e})
	}
}

// gather takes over what the hands have found.
func (w *walk) gather() {
	for _, hand := range w.hands {
		w.res.Problems = append(w.res.Problems, hand.res.Problems...)
		maps.Copy(w.res.Dangling, hand.res.Dangling)
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
