package device

import (
	"slices"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/busapi"
)

// TestGauge wants a figure that never goes back, the rate of the last seconds, and what
// follows from it; and no more words than are of use.
func TestGauge(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	var told []busapi.Progress
	g := newGauge(func() time.Time { return now }, func(p busapi.Progress) { told = append(told, p) })
	step := func(after time.Duration, done int64, want ...busapi.Progress) {
		t.Helper()
		now, told = now.Add(after), nil
		g.set("backup", done, 10_000_000)
		if !slices.Equal(told, want) {
			t.Errorf("%d bytes, %v later: %+v, want %+v", done, after, told, want)
		}
	}
	at := func(done, rate, left int64) busapi.Progress {
		return busapi.Progress{Operation: "backup", Done: done, Total: 10_000_000, Rate: rate, TimeLeft: left}
	}
	step(0, 0, at(0, 0, -1))
	step(100*time.Millisecond, 10_000)
	step(900*time.Millisecond, 100_000, at(100_000, 100_000, 99))
	step(time.Second, 50_000, at(100_000, 50_000, 198)) // never back
	step(8*time.Second, 1_000_000, at(1_000_000, 100_000, 90))
	step(20*time.Second, 5_000_000, at(5_000_000, 200_000, 25)) // of the last seconds
	step(time.Millisecond, 5_000_001)
	step(time.Millisecond, 10_000_000, at(10_000_000, 449_955, 0)) // the end is told at once

	told = nil
	g.end("reprovision")
	if len(told) != 0 {
		t.Errorf("the end of what is not under way: %+v", told)
	}
	g.end("backup")
	if !slices.Equal(told, []busapi.Progress{{}}) {
		t.Errorf("the end: %+v", told)
	}
	g.set("backup", 7, 10) // another one begins where it begins
	if last := told[len(told)-1]; last.Done != 7 || last.TimeLeft != -1 {
		t.Errorf("another: %+v", last)
	}
	g.end("backup")
	g.set("check", 5, 10)
	told = nil
	g.set("backup", 8, 10) // more important
	g.set("check", 10, 10)
	g.end("check")
	if len(told) != 1 || told[0].Operation != "backup" {
		t.Errorf("a check beside a backup: %+v", told)
	}
	told = nil
	g.set("backup", 10, 10)
	g.set("backup", 12, 12) // there was more than was known of
	g.set("backup", 13, 13)
	if len(told) != 1 {
		t.Errorf("at the end: %+v", told)
	}
	g.set("reprovision", 1, 10) // more important
	told = nil
	g.set("backup", 10, 10)
	g.end("backup")
	if len(told) != 0 {
		t.Errorf("two operations at once: %+v", told)
	}
}

// TestCheckIsShown wants a check that the owner asked for to tell how far it is, and no
// other look.
func TestCheckIsShown(t *testing.T) {
	r := newRig(t)
	r.write("a", "contents")
	r.backUp()
	var told []busapi.Progress
	r.d.gauge.tell = func(p busapi.Progress) { told = append(told, p) }
	if _, err := r.d.Check(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	want := busapi.Progress{Operation: "check", Done: 8, Total: 8}
	if len(told) != 2 || told[0].Operation != want.Operation || told[0].Done != want.Done || told[0].Total != want.Total || told[1] != (busapi.Progress{}) {
		t.Errorf("told %+v", told)
	}
	told = nil
	if _, err := r.d.lookOnce(t.Context(), look{why: "watch", deep: true}); err != nil || len(told) > 0 {
		t.Errorf("told %+v, %v", told, err)
	}
}
