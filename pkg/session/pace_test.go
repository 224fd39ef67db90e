package session

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestPace wants the pace to follow the link's speed, not what a buffer swallows at once.
func TestPace(t *testing.T) {
	var buffer int
	p := newPacer(func(bytes int) { buffer = bytes })
	crawl, walk := pace{piece: 2 << 10, buffer: 2 << 10}, pace{piece: 8 << 10, buffer: 4 << 10}
	stride, run := pace{piece: MaxPiece, buffer: MaxPiece}, pace{piece: MaxPiece, buffer: 64 << 10, free: true}
	for _, step := range []struct {
		what  string
		bytes int
		took  time.Duration
		want  pace
	}{
		{"nothing is known", 0, 0, walk},
		{"small calls", 500, 10 * time.Microsecond, walk},
		{"80 kB/s", 8000, 100 * time.Millisecond, crawl},
		{"small calls", 500, 10 * time.Microsecond, crawl},
		{"220 kB/s", 22000, 100 * time.Millisecond, walk},
		{"2 MB/s", 200_000, 100 * time.Millisecond, stride},
		{"220 kB/s", 22000, 100 * time.Millisecond, walk},
		{"100 MB/s, not much", 100_000, time.Millisecond, walk},
		{"100 MB/s", 200_000, 2 * time.Millisecond, run},
		{"out of range for a while", 4000, 5 * time.Second, crawl},
		{"a memory copy", 1 << 20, 0, run},
	} {
		p.wrote(step.bytes, step.took)
		if p.pace != step.want || buffer != step.want.buffer || p.piece() != step.want.piece {
			t.Errorf("%s: %+v with a buffer of %d", step.what, p.pace, buffer)
		}
	}
}

// TestPaceOfSmallCalls: what never fills the link says nothing about its speed, however
// much of it there is.
func TestPaceOfSmallCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(nil)
		for range 2000 {
			p.wrote(500, 10*time.Microsecond)
			time.Sleep(time.Second)
		}
		if p.pace != paceOf(usualLink) {
			t.Errorf("%+v after calls alone", p.pace)
		}
		for range 100 { // back to back
			time.Sleep(2 * time.Millisecond)
			p.wrote(20_000, 2*time.Millisecond)
		}
		if !p.pace.free {
			t.Errorf("%+v on a fast link", p.pace)
		}
	})
}

// TestThrough holds bulk data back until the link has taken them, and not for ever.
func TestThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(nil)
		p.wrote(5000, 0)
		done := make(chan error, 1)
		go func() { done <- p.through(t.Context(), 3000, func() error { return nil }) }()
		p.wrote(2999, 0)
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("not held back")
		default:
		}
		p.wrote(1, 0)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if err := p.through(t.Context(), 1, func() error { return nil }); err != nil || time.Since(begun) != maxHold {
			t.Errorf("held back for %v: %v", time.Since(begun), err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.through(ctx, 1, func() error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("after the end: %v", err)
		}
		broken := errors.New("broken")
		if err := p.through(t.Context(), 1, func() error { return broken }); !errors.Is(err, broken) {
			t.Errorf("nothing was sent: %v", err)
		}
		p.wrote(1<<20, 0) // fast
		begun = time.Now()
		if err := p.through(t.Context(), 1<<20, func() error { return nil }); err != nil || time.Since(begun) != 0 {
			t.Errorf("held back on a fast link: %v", err)
		}
	})
}
