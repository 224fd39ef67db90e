package backup_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/reprovision/reprovision/pkg/backup"
)

var morning = time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func at(boot string, up time.Duration, wall time.Time) backup.Reading {
	return backup.Reading{Boot: boot, Up: up, Wall: wall}
}

// TestWait looks at a schedule of one a day at a reading, two hours after the last
// backup and what then happened.
func TestWait(t *testing.T) {
	last := backup.NewSpan(at("a", 10*time.Hour, morning), 0, 0)
	noted := last.At(at("a", 12*time.Hour, morning.Add(2*time.Hour)))
	ended := last.Ended(at("a", 12*time.Hour, morning.Add(2*time.Hour)))
	longAgo := time.Date(1970, 1, 1, 0, 1, 0, 0, time.UTC)
	for _, c := range []struct {
		name    string
		span    backup.Span
		now     backup.Reading
		wait    time.Duration
		overdue bool
	}{
		{"just backed up", last, at("a", 10*time.Hour, morning), day, false},
		{"two hours later", noted, at("a", 12*time.Hour, morning.Add(2*time.Hour)), 22 * time.Hour, false},
		{"asleep for 30 hours", noted, at("a", 42*time.Hour, morning.Add(32*time.Hour)), 0, true},
		{"the clock set ten years ahead", noted, at("a", 13*time.Hour, morning.AddDate(10, 0, 0)), 21 * time.Hour, false},
		{"the clock set ten years back", noted, at("a", 13*time.Hour, morning.AddDate(-10, 0, 0)), 21 * time.Hour, false},
		{"off for ten hours", ended, at("b", time.Hour, morning.Add(13*time.Hour)), 11 * time.Hour, false},
		{"off for three days", ended, at("b", 2*time.Hour, morning.Add(4*day)), 0, true},
		{"and just booted", ended, at("b", time.Minute, morning.Add(4*day)), time.Minute, false},
		{"off, and the clock lost", ended, at("b", 30*time.Minute, longAgo), 21*time.Hour + 30*time.Minute, false},
		{"and no orderly end", noted, at("b", 30*time.Minute, longAgo), 0, false},
		{"off, the clock put back by seconds", noted, at("b", time.Hour, morning.Add(3*time.Hour-2*time.Second)), 21 * time.Hour, false},
		{"off, the clock lost and put right", ended.At(at("b", time.Minute, longAgo)), at("b", time.Hour, morning.Add(13*time.Hour)), 11 * time.Hour, false},
		{"off, the clock lost, off again and right", ended.At(at("b", time.Hour, longAgo)).Ended(at("b", 2*time.Hour, longAgo.Add(time.Hour))),
			at("c", time.Hour, morning.Add(13*time.Hour)), 11 * time.Hour, false},
		{"never backed up", backup.Span{}, at("a", time.Hour, morning), 0, false},
		{"never, and asked for days ago", backup.Span{}.At(at("a", time.Hour, morning)), at("a", 50*time.Hour, morning.Add(49*time.Hour)), 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := backup.Schedule{Every: day, Span: c.span}
			if got := s.Wait(c.now); got != c.wait {
				t.Errorf("due in %v, want %v", got, c.wait)
			}
			if since, yes := s.Overdue(c.now); yes != c.overdue || yes && !since.Before(c.now.Wall) {
				t.Errorf("overdue %v since %v, want %v", yes, since, c.overdue)
			}
		})
	}
}

func TestNoScheduleIsNeverDue(t *testing.T) {
	s, now := backup.Schedule{}, at("a", 1000*day, morning)
	if _, yes := s.Overdue(now); yes || s.Wait(now) >= 0 || s.UntilOverdue(now) >= 0 {
		t.Error("due")
	}
}

func TestRetry(t *testing.T) {
	daily, quick := backup.Schedule{Every: day}, backup.Schedule{Every: 2 * time.Second}
	for i, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour} {
		if got := daily.Retry(i + 1); got != want {
			t.Errorf("after %d failures: %v, want %v", i+1, got, want)
		}
	}
	if got := quick.Retry(5); got != 2*time.Second {
		t.Errorf("got %v", got)
	}
}

// world is a device with a schedule, as the laws of nature have it: true time goes
// on whatever the clocks say.
type world struct {
	*rapid.T
	schedule backup.Schedule
	now      time.Duration // true
	boots    int
	booted   time.Duration
	wall     time.Time // of true time 0
	on       bool
	inRange  bool
	kept     backup.Span // on the disk
	last     time.Duration
	open     time.Duration // for how long it could have been backed up, on and in range
	early    bool          // the clock has told a lie while it was off
}

func (w *world) reading() backup.Reading {
	return at(fmt.Sprint(w.boots), w.now-w.booted, w.wall.Add(w.now))
}

// pass lets a time pass in the steps in which the device would wake.
func (w *world) pass(d time.Duration) {
	for end := w.now + d; w.now < end; {
		step := end - w.now
		if w.on {
			if wait := w.schedule.Wait(w.reading()); wait > 0 {
				step = min(step, wait)
			} else if w.inRange {
				w.backUp()
				continue
			}
		}
		w.now += step
		if w.on && w.inRange {
			w.open += step
		}
		limit := w.schedule.Every + w.schedule.Jitter() + w.schedule.Settle()
		if w.open > limit {
			w.Fatalf("in range for %v, and not backed up within %v", w.open, limit)
		}
	}
}

func (w *world) backUp() {
	if gap := w.now - w.last; gap < w.schedule.Every && !w.early {
		w.Fatalf("backed up after %v, want %v at least", gap, w.schedule.Every)
	}
	w.reset()
}

func (w *world) reset() {
	w.schedule.Span = backup.NewSpan(w.reading(), 0, rapid.Uint16().Draw(w.T, "share"))
	w.kept, w.last, w.open, w.early = w.schedule.Span, w.now, 0, false
}

func (w *world) note() {
	w.schedule.Span = w.schedule.Span.At(w.reading())
	w.kept = w.schedule.Span
}

func (w *world) off(orderly bool) {
	if w.kept = w.schedule.Span; orderly {
		w.kept = w.schedule.Span.Ended(w.reading())
	}
	w.on = false
}

func (w *world) boot() {
	w.on, w.boots, w.booted = true, w.boots+1, w.now
	w.schedule.Span = w.kept
	w.note()
	if w.early { // what was not noted may be thought to have passed while it was off
		w.open = 0
	}
	w.early = w.early || w.schedule.Span.Doubt
}

// TestSchedule has clocks jump and devices sleep, restart and lose power: no
// backup comes sooner than the span after the last, unless the clock lied while
// the device was off; and none later than the span and its jitter of a time in
// which it could have been made.
func TestSchedule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		every := rapid.SampledFrom([]time.Duration{2 * time.Second, time.Minute, time.Hour, day, 7 * day}).Draw(t, "every")
		w := &world{T: t, schedule: backup.Schedule{Every: every}, wall: morning, on: true, inRange: true}
		w.now = time.Minute
		w.reset()
		some := rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.Int64Range(1, int64(3*every)).Draw(t, "time"))
		})
		t.Repeat(map[string]func(*rapid.T){
			"wait":        func(t *rapid.T) { w.pass(some.Draw(t, "wait")) },
			"come and go": func(*rapid.T) { w.inRange = !w.inRange },
			"sleep": func(t *rapid.T) { // nobody runs, and the clock goes on
				if d := some.Draw(t, "sleep"); w.on {
					w.now += d
				}
			},
			"ask": func(*rapid.T) {
				if w.on && w.inRange {
					w.reset()
				}
			},
			"restart the daemon": func(*rapid.T) {
				if w.on {
					w.schedule.Span = w.schedule.Span.Ended(w.reading())
					w.note()
				}
			},
			"set the clock": func(t *rapid.T) {
				w.wall = w.wall.Add(time.Duration(rapid.Int64Range(-int64(1000*day), int64(1000*day)).Draw(t, "jump")))
				if w.on {
					w.note() // the alarm tells
				} else {
					w.early = true
				}
			},
			"switch": func(t *rapid.T) {
				if !w.on {
					w.boot()
				} else {
					w.off(rapid.Bool().Draw(t, "orderly"))
				}
			},
			"": func(*rapid.T) {},
		})
	})
}

// TestBackFromThePast ends a machine in order, and has it boot again and again with
// its clock at the epoch: only the time that it was on counts, and all of that.
func TestBackFromThePast(t *testing.T) {
	noon := at("0", time.Hour, morning)
	s := backup.Schedule{Every: day, Span: backup.NewSpan(noon, 0, 0).Ended(noon)}
	epoch := time.Unix(0, 0)
	for i := range 12 {
		boot := fmt.Sprint(i + 1)
		if got := s.Wait(at(boot, time.Hour, epoch.Add(time.Hour))); got != day-time.Duration(i*2+1)*time.Hour {
			t.Fatalf("boot %s: due in %v", boot, got)
		}
		s.Span = s.Span.At(at(boot, time.Hour, epoch.Add(time.Hour)))
		s.Span = s.Span.Ended(at(boot, 2*time.Hour, epoch.Add(2*time.Hour)))
	}
	if got := s.Wait(at("13", time.Hour, epoch)); got != 0 {
		t.Errorf("due in %v after a day of power", got)
	}
}

func TestClock(t *testing.T) {
	c, err := backup.NewClock(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	a, b := c.Read(), c.Read()
	if a.Boot == "" || a.Boot != b.Boot || b.Up < a.Up || a.Up <= 0 {
		t.Errorf("%+v, then %+v", a, b)
	}
}

func TestAlarm(t *testing.T) {
	a, err := backup.NewAlarm()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- a.Run(ctx) }()
	begun := time.Now()
	if err := a.Set(200 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	select {
	case <-a.Rings():
	case <-time.After(30 * time.Second):
		t.Fatal("did not ring")
	}
	if early := time.Since(begun); early < 190*time.Millisecond {
		t.Errorf("rang after %v", early)
	}
	if err := a.Set(0); err != nil {
		t.Fatal(err)
	}
	<-a.Rings()
	if err := a.Set(-1); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Run ended with %v", err)
	}
}
