package watch

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/reprovision/reprovision/pkg/userdata"
)

const (
	// window is how long hints are gathered after the first one.
	window = 100 * time.Millisecond
	// maxNames is how many names of one root are kept; beyond that a scan of the
	// whole root costs less.
	maxNames = 1000
)

type pending struct {
	names   map[userdata.Name]struct{}
	rescan  bool
	blind   bool
	remount bool
}

// coalescer merges a burst of events into one hint for each root.
type coalescer struct {
	wake chan struct{} // holds one token when something is pending

	mu    sync.Mutex
	roots map[string]*pending
}

func newCoalescer() *coalescer {
	return &coalescer{wake: make(chan struct{}, 1), roots: make(map[string]*pending)}
}

func (c *coalescer) add(n userdata.Name) {
	c.change(n.Root(), func(p *pending) {
		if p.rescan {
			return
		}
		if p.names[n] = struct{}{}; len(p.names) > maxNames {
			p.rescan, p.names = true, nil
		}
	})
}

// rescan says that anything may have happened in a root, and whether it is told from
// now on what happens there.
func (c *coalescer) rescan(root string, blind bool) {
	c.change(root, func(p *pending) { p.rescan, p.blind, p.names = true, blind, nil })
}

// remounted asks for a rescan, as something can be written there now, or no longer.
func (c *coalescer) remounted(root string, blind bool) {
	c.change(root, func(p *pending) { p.rescan, p.blind, p.remount, p.names = true, blind, true, nil })
}

func (c *coalescer) change(root string, do func(*pending)) {
	c.mu.Lock()
	p := c.roots[root]
	if p == nil {
		p = &pending{names: make(map[userdata.Name]struct{})}
		c.roots[root] = p
	}
	do(p)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// take returns what is pending for one root.
func (c *coalescer) take() (Hint, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for root, p := range c.roots {
		delete(c.roots, root)
		h := Hint{Root: root, Rescan: p.rescan, Blind: p.blind, Remounted: p.remount}
		for n := range p.names {
			h.Names = append(h.Names, n)
		}
		slices.Sort(h.Names)
		return h, true
	}
	return Hint{}, false
}

// deliver hands the hints out until the context ends.
func (c *coalescer) deliver(ctx context.Context, out chan<- Hint) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		}
		if !pause(ctx, window) || !c.flush(ctx, out) {
			return
		}
	}
}

func (c *coalescer) flush(ctx context.Context, out chan<- Hint) bool {
	for h, ok := c.take(); ok; h, ok = c.take() {
		select {
		case <-ctx.Done():
			return false
		case out <- h:
		}
	}
	return true
}

// pause waits for d and tells whether the context still goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
