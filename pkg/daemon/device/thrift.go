package device

import "runtime/debug"

// What Go's runtime may have in memory while the process looks: what it has without any
// item, and for each item the lists of before, those that the look makes, and half as
// much again. Without a bound the collector would let the heap double. The bound grows
// with the items, so that it never has to collect all the time: with 10,000 items the
// process's peak is a quarter lower so, and a look takes no more of the processor.
const (
	thriftLeast = 12 << 20
	thriftBase  = 6 << 20
	thriftItem  = 1536
)

// thrifty bounds the memory for a look at so many items, until restore is called. At
// other times there is no bound: what a backup packs is large and soon gone.
func thrifty(items int) (restore func()) {
	was := debug.SetMemoryLimit(-1)
	debug.SetMemoryLimit(min(was, max(thriftLeast, thriftBase+thriftItem*int64(items))))
	return func() { debug.SetMemoryLimit(was) }
}
