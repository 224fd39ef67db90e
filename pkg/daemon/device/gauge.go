package device

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reprovision/reprovision/pkg/busapi"
)

// gaugeSpan is over how long a rate is measured, and gaugePause how long nothing is told
// after something was.
const (
	gaugeSpan  = 15 * time.Second
	gaugePause = 500 * time.Millisecond
)

// gauge makes of how far an operation is what is told about it: a figure that never goes
// back, the rate at which it has grown lately, and the time that the rest takes at that
// rate. It is safe for concurrent use.
type gauge struct {
	now  func() time.Time
	tell func(busapi.Progress)

	mu   sync.Mutex
	last busapi.Progress // zero while nothing is under way
	told time.Time
	seen []reading // oldest first, of the last gaugeSpan and one before
}

// reading is how many bytes were through at a time.
type reading struct {
	at   time.Time
	done int64
}

func newGauge(now func() time.Time, tell func(busapi.Progress)) *gauge {
	return &gauge{now: now, tell: tell}
}

// set notes how far an operation is, in bytes.
func (g *gauge) set(operation string, done, total int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if weight(g.last.Operation) > weight(operation) {
		return // one figure: that of what is more important
	}
	if g.last.Operation != operation {
		g.last, g.seen, g.told = busapi.Progress{Operation: operation}, []reading{{now, done}}, time.Time{}
	}
	whole := done >= total && g.last.Done < g.last.Total
	g.last.Done, g.last.Total = max(g.last.Done, done), total
	if now.Sub(g.told) < gaugePause && !whole {
		return
	}
	g.told = now
	g.measure(now)
	g.tell(g.last)
}

// weight is how much the owner cares for the figure of an operation.
func weight(operation string) int {
	return slices.Index([]string{activityCheck, activityBackup, activityReprovision}, operation)
}

// measure takes a reading and works out the rate; mu is held.
func (g *gauge) measure(now time.Time) {
	for len(g.seen) > 1 && now.Sub(g.seen[1].at) >= gaugeSpan {
		g.seen = g.seen[1:]
	}
	g.last.Rate, g.last.TimeLeft = 0, -1
	first := g.seen[0]
	if took := now.Sub(first.at).Seconds(); took > 0 && g.last.Done > first.done {
		rate := float64(g.last.Done-first.done) / took
		g.last.Rate = int64(rate)
		g.last.TimeLeft = int64(float64(max(0, g.last.Total-g.last.Done))/rate + 0.5)
	}
	g.seen = append(g.seen, reading{now, g.last.Done})
}

// end notes that an operation is over.
func (g *gauge) end(operation string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.last.Operation == operation {
		g.last = busapi.Progress{}
		g.tell(g.last)
	}
}

// lookedThrough tells the gauge how far a look is that the owner waits for; nil for others.
// How much there is to look through is known from the last one only: until more than that
// has come, it counts.
func (d *Daemon) lookedThrough(l look) func(bytes int64) {
	if !l.shown {
		return nil
	}
	var done atomic.Int64
	most := d.book.reference().Manifest.Bytes()
	return func(bytes int64) {
		now := done.Add(bytes)
		d.gauge.set(activityCheck, now, max(most, now))
	}
}
