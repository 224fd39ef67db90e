package scan

import (
	"context"
	"sync"
	"time"
)

const (
	// usualTime and usualRate are what an examination may take of itself: it reads
	// the contents a few times.
	usualTime = 50 * time.Millisecond
	usualRate = 20 << 20 // bytes a second
	// slowMost is how much longer one file may take, slowAll all files of a scan
	// together: whoever makes files that are slow to examine, on purpose or not,
	// does not keep the others from being looked at.
	slowMost = 20 * time.Second
	slowAll  = 2 * time.Minute
)

// patience is what the hands of a scan have left for files that take long.
type patience struct {
	mu   sync.Mutex
	slow time.Duration // that they have taken
}

func usual(size int64) time.Duration {
	return usualTime + time.Duration(float64(size)/usualRate*float64(time.Second))
}

// limit is how long the examination of a file of so many bytes may take.
func (p *patience) limit(size int64) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return usual(size) + min(slowMost, max(0, slowAll-p.slow))
}

func (p *patience) spend(size int64, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slow += max(0, took-usual(size))
}

// examined has contents examined for as long as there is patience.
func (w *walk) examined(ctx context.Context, c Contents, n *Nature) {
	ctx, cancel := context.WithTimeout(ctx, w.out.patience.limit(c.Size))
	defer cancel()
	start := time.Now()
	w.examine(ctx, c, n)
	w.out.patience.spend(c.Size, time.Since(start))
}
