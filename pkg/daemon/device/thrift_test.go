package device

import (
	"runtime/debug"
	"testing"
)

// TestThrifty: the bound grows with the items, is never above one that is set already,
// and ends.
func TestThrifty(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	for _, was := range []int64{1 << 40, 64 << 20} {
		debug.SetMemoryLimit(was)
		for _, items := range []int{0, 10_000, 1_000_000} {
			restore := thrifty(items)
			want := min(was, max(12<<20, 6<<20+1536*int64(items)))
			if got := debug.SetMemoryLimit(-1); got != want {
				t.Errorf("%d bytes for %d items, want %d", got, items, want)
			}
			restore()
			if got := debug.SetMemoryLimit(-1); got != was {
				t.Errorf("%d bytes afterwards, want %d", got, was)
			}
		}
	}
}
