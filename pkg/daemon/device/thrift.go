package device

import (
	"runtime/debug"
	"sync"
)

// thriftPercent is how far the heap may grow beyond what is live, in percent, while the
// process looks. Most of what a look has in memory lives as long as it lasts, or longer: by
// Go's own 100 the heap would be twice that. As it goes by what is live, a first look at
// a million files does not collect all the time, nor does one beside a backup, whose
// packs are large and soon gone; a bound on the whole did that to both.
const thriftPercent = 30

// thrift has the collector be more eager while any look lasts. It is safe for concurrent
// use: the first look begins it, and the last one ends it.
type thrift struct {
	mu    sync.Mutex
	looks int
	was   int // GC percent
}

// begin is for one look, until end is called.
func (t *thrift) begin() (end func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.looks++; t.looks == 1 {
		t.was = debug.SetGCPercent(thriftPercent)
		if t.was >= 0 && t.was < thriftPercent { // the administrator's GOGC
			debug.SetGCPercent(t.was)
		}
	}
	return t.end
}

func (t *thrift) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.looks--; t.looks == 0 {
		debug.SetGCPercent(t.was)
	}
}
