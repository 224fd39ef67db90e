package scan

import (
	"context"
	"time"
)

// pacer spreads reading over time, so that a scrub leaves the device usable. It
// allows no burst after a pause: time in which nothing was read is not saved up.
type pacer struct {
	rate int64 // bytes a second; 0 is no limit
	next time.Time
}

// spend waits until n more bytes may have been read.
func (p *pacer) spend(ctx context.Context, n int) error {
	if p.rate <= 0 {
		return ctx.Err()
	}
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	return sleep(ctx, p.next.Sub(now))
}

// sleep waits for d or until the context ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return ctx.Err()
	}
}
