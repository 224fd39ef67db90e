package device

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// drilling is a drillman in a bubble with a clock of its own, and what it has done.
type drilling struct {
	drillman
	there   bool // the reader, and data there
	fails   bool
	looks   int // at whether a drill is possible
	reads   int // of the time
	drills  []time.Duration
	wakeNow chan struct{}
}

func newDrilling(t *testing.T, every time.Duration) *drilling {
	d := &drilling{wakeNow: make(chan struct{}, 1)}
	start := time.Now()
	var last time.Time
	d.drillman = drillman{
		every: every, wake: d.wakeNow, log: slog.New(slog.DiscardHandler),
		now:   func() time.Time { d.reads++; return time.Now() },
		last:  func() (time.Time, bool) { d.reads++; return last, !last.IsZero() },
		ready: func() bool { d.looks++; return d.there },
		drill: func(context.Context) error {
			d.drills = append(d.drills, time.Since(start).Round(time.Second))
			if d.fails {
				return errors.New("no")
			}
			last = time.Now()
			return nil
		},
	}
	go func() { _ = d.run(t.Context()) }()
	synctest.Wait()
	return d
}

// TestDrillSleepsWhileTheReaderIsAway: a drill is long due, and nothing wakes the
// drillman for a year but the session that makes it possible.
func TestDrillSleepsWhileTheReaderIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrilling(t, time.Hour)
		looks, reads := d.looks, d.reads
		time.Sleep(365 * 24 * time.Hour)
		synctest.Wait()
		if d.looks != looks || d.reads != reads || len(d.drills) > 0 {
			t.Fatalf("woken %d times, %d drills, in a year without a reader", d.looks-looks, len(d.drills))
		}
		d.there = true
		d.wakeNow <- struct{}{}
		synctest.Wait()
		if len(d.drills) != 1 {
			t.Fatalf("%d drills when the reader came", len(d.drills))
		}
		d.there = false
		reads = d.reads
		time.Sleep(365 * 24 * time.Hour)
		synctest.Wait()
		if len(d.drills) != 1 || d.reads > reads+2 {
			t.Errorf("%d drills, %d reads of the clock in another year", len(d.drills), d.reads-reads)
		}
	})
}

// TestDrillInTime: with the reader there, a drill is made each time that one is due; one that
// fails is repeated after a pause.
func TestDrillInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrilling(t, 24*time.Hour)
		d.there, d.fails = true, true
		d.wakeNow <- struct{}{}
		synctest.Wait()
		time.Sleep(drillPause + time.Second)
		d.fails = false
		time.Sleep(drillPause)
		time.Sleep(49 * time.Hour)
		synctest.Wait()
		want := []time.Duration{0, drillPause, 2 * drillPause, 24*time.Hour + 2*drillPause, 48*time.Hour + 2*drillPause}
		if len(d.drills) != len(want) {
			t.Fatalf("drills after %v, want %v", d.drills, want)
		}
		for i := range want {
			if d.drills[i] != want[i] {
				t.Errorf("drills after %v, want %v", d.drills, want)
			}
		}
	})
}
