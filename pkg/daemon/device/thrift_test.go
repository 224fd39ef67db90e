package device

import (
	"runtime/debug"
	"testing"
)

// TestThrift: the collector is more eager while looks last, in whichever order they end,
// and as before when the last has ended; it is never less eager than it was.
func TestThrift(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	percent := func(want int, when string) {
		t.Helper()
		got := debug.SetGCPercent(100)
		debug.SetGCPercent(got)
		if got != want {
			t.Errorf("%s: %d percent, want %d", when, got, want)
		}
	}
	for was, during := range map[int]int{100: thriftPercent, 10: 10, -1: thriftPercent} {
		debug.SetGCPercent(was)
		var th thrift
		first := th.begin()
		percent(during, "one look")
		second := th.begin()
		first()
		percent(during, "the first has ended")
		second()
		percent(was, "both have ended")
	}
}
