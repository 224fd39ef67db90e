package device

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reprovision/reprovision/pkg/busapi"
)

// drilling is a drillman in a bubble with a clock of its own, and what it has done.
type drilling struct {
	drillman
	start time.Time
	rouse chan struct{}

	mu     sync.Mutex
	there  bool // the reader, and data there
	busy   bool // with a restore
	fails  bool
	lost   bool // the data
	last   time.Time
	woken  int             // times that it looked at the time or at the reader
	drills []time.Duration // since the start
}

func newDrilling(t *testing.T, every time.Duration) *drilling {
	d := &drilling{start: time.Now(), rouse: make(chan struct{}, 1)}
	d.drillman = drillman{
		every: every, wake: d.rouse, log: slog.New(slog.DiscardHandler), now: time.Now,
		last: func() (last time.Time, known bool) {
			d.with(func() { d.woken++; last = d.last })
			return last, !last.IsZero()
		},
		ready: func() (there bool) { d.with(func() { there = d.there }); return there },
		busy:  func() (busy bool) { d.with(func() { busy = d.busy }); return busy },
		drill: func(context.Context) error { return d.attempt() },
	}
	go func() { _ = d.run(t.Context()) }()
	synctest.Wait()
	return d
}

func (d *drilling) with(do func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	do()
}

func (d *drilling) attempt() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drills = append(d.drills, time.Since(d.start).Round(time.Second))
	if d.lost {
		return busapi.ErrNoData
	}
	if d.fails {
		return errors.New("no")
	}
	d.last = time.Now()
	return nil
}

// TestDrillSleepsWhileTheReaderIsAway: a drill is long due, and nothing wakes the
// drillman for a year but the session that makes it possible.
func TestDrillSleepsWhileTheReaderIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrilling(t, time.Hour)
		for year, want := range []int{1, 4} { // at first, after the drill, and when the next was due
			time.Sleep(365 * 24 * time.Hour)
			synctest.Wait()
			d.with(func() {
				if d.woken > want || len(d.drills) != year {
					t.Fatalf("woken %d times, %d drills, after year %d without a reader", d.woken, len(d.drills), year+1)
				}
				d.there = true
			})
			d.rouse <- struct{}{}
			time.Sleep(drillLater)
			synctest.Wait()
			d.with(func() {
				if d.there = false; len(d.drills) != year+1 {
					t.Fatalf("%d drills when the reader came", len(d.drills))
				}
			})
		}
	})
}

// TestDrillOfDataThatAreLost: while the reader stays, nothing but a backup or another
// session brings them back.
func TestDrillOfDataThatAreLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrilling(t, 24*time.Hour)
		d.with(func() { d.there, d.lost = true, true })
		d.rouse <- struct{}{}
		synctest.Wait()
		time.Sleep(100 * 24 * time.Hour)
		synctest.Wait()
		d.with(func() {
			if d.lost = false; len(d.drills) != 1 {
				t.Errorf("%d drills", len(d.drills))
			}
		})
		d.rouse <- struct{}{}
		time.Sleep(drillLater)
		synctest.Wait()
		d.with(func() {
			if len(d.drills) != 2 {
				t.Errorf("%d drills after the backup", len(d.drills))
			}
		})
	})
}

// TestDrillInTime: with the reader there, a drill is made each time that one is due; one that
// fails is repeated after a pause.
func TestDrillInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrilling(t, 24*time.Hour)
		d.with(func() { d.there, d.fails = true, true })
		d.rouse <- struct{}{}
		synctest.Wait()
		time.Sleep(drillLater + drillPause + time.Second)
		d.with(func() { d.fails = false })
		time.Sleep(drillPause + 49*time.Hour)
		synctest.Wait()
		const third = drillLater + 2*drillPause // the first that is made
		want := []time.Duration{drillLater, drillLater + drillPause, third, 24*time.Hour + third, 48*time.Hour + third}
		d.with(func() {
			if !slices.Equal(d.drills, want) {
				t.Errorf("drills after %v, want %v", d.drills, want)
			}
		})
	})
}

// TestNoDrillDuringARestore: it waits until the restore is over, and is not forgotten.
func TestNoDrillDuringARestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrilling(t, 24*time.Hour)
		d.with(func() { d.there, d.busy = true, true })
		d.rouse <- struct{}{}
		time.Sleep(time.Hour)
		d.with(func() {
			if d.busy = false; len(d.drills) > 0 {
				t.Error("a drill during the restore")
			}
		})
		time.Sleep(drillLater)
		synctest.Wait()
		d.with(func() {
			if len(d.drills) != 1 {
				t.Errorf("%d drills after the restore", len(d.drills))
			}
		})
	})
}
