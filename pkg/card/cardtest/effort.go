package cardtest

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/card/virtual"
)

// Limits of TestEffort.
const (
	effortSize   = 20 << 10 // bytes of the version
	effortEdit   = 1 << 10  // bytes that change each time
	effortWrite  = 3000     // bytes that a commit may write then
	effortRead   = 1.15     // time of a load, as a multiple of the bare transfer's: the median
	effortRounds = 150      // changes in a row
)

// What a contact card takes (T=1 at 4 MHz): for the bytes, and for a command.
const (
	byteRate = 10_700 // a second
	apduTime = 12 * time.Millisecond
)

// onTheWire is the time that a real card would take for what was counted.
func onTheWire(c virtual.Counts) time.Duration {
	return time.Duration(c.APDUs)*apduTime + time.Duration(c.In+c.Out)*time.Second/byteRate
}

// Since gives what went over the contacts between two counts.
func Since(after, before virtual.Counts) virtual.Counts {
	return virtual.Counts{
		APDUs: after.APDUs - before.APDUs, In: after.In - before.In, Out: after.Out - before.Out,
		Written: after.Written - before.Written, Read: after.Read - before.Read,
	}
}

// TestEffort measures on a card of a common size what goes over its contacts: of
// commits of 20 kB in which 1 kB is new, from the second on, and of loads, beside
// the bare transfer of as many bytes on the same card. kind.Fresh gives a card
// that has room for two such versions.
func TestEffort(t *testing.T, kind Kind) {
	for name, change := range map[string]func(*rand.Rand, []byte) []byte{
		"replaced": replaced, "inserted": inserted,
	} {
		t.Run(name, func(t *testing.T) {
			e := effort{Kind: kind, c: kind.Fresh(t), data: noise(1, effortSize)}
			mustFormat(t, kind.open(t, e.c), 0)
			e.commit(t, e.data, 2*effortSize)
			e.load(t)
			random := rand.New(rand.NewPCG(1, 5))
			for range effortRounds {
				e.commit(t, change(random, e.data), effortWrite)
				e.load(t)
			}
			e.report(t)
		})
	}
}

// replaced is data in which 1 kB is another.
func replaced(random *rand.Rand, data []byte) []byte {
	next := append([]byte{}, data...)
	copy(next[random.IntN(len(data)-effortEdit):], noise(random.Uint64N(1<<16), effortEdit))
	return next
}

// inserted is data with 1 kB between, and as much left out elsewhere.
func inserted(random *rand.Rand, data []byte) []byte {
	at := random.IntN(len(data))
	next := append(append(append([]byte{}, data[:at]...), noise(random.Uint64N(1<<16), effortEdit)...), data[at:]...)
	at = random.IntN(effortSize)
	return append(next[:at], next[at+effortEdit:]...)
}

// effort is a card, the version on it and what was measured so far.
type effort struct {
	Kind
	c          *virtual.Card
	data       []byte
	generation uint64

	written        []int     // bytes, of each commit but the first
	times          []float64 // of each load, multiples of the bare transfer's
	mostLoad, bare virtual.Counts
}

func (e *effort) commit(t *testing.T, data []byte, limit int) {
	t.Helper()
	m := e.open(t, e.c)
	before := e.c.Counts()
	e.generation++
	mustCommit(t, m, e.generation, data)
	e.data = data
	written := Since(e.c.Counts(), before).Written
	if written > limit {
		t.Errorf("generation %d: %d bytes written", e.generation, written)
	}
	if e.generation > 1 {
		e.written = append(e.written, written)
	}
}

// load compares a load, the look at what the card is included, with the bare transfer, both on this card and now.
func (e *effort) load(t *testing.T) {
	t.Helper()
	before := e.c.Counts()
	m := e.open(t, e.c)
	mustLoad(t, m, e.generation, e.data)
	load := Since(e.c.Counts(), before)
	e.c.Reset()
	e.bare = e.Bare(t, e.c, len(e.data))
	if e.bare.Read < len(e.data) || e.bare.Read > len(e.data)+4096 {
		t.Fatalf("the bare transfer read %d bytes", e.bare.Read)
	}
	bare := float64(onTheWire(e.bare)) * float64(len(e.data)) / float64(e.bare.Read)
	times := float64(onTheWire(load)) / bare
	if len(e.times) == 0 || times > slices.Max(e.times) {
		e.mostLoad = load
	}
	e.times = append(e.times, times)
	if times > e.Slowest {
		t.Errorf("generation %d: a load takes %.3f times the bare transfer: %+v, %+v", e.generation, times, load, e.bare)
	}
}

// report checks the bars at the median, and prints both.
func (e *effort) report(t *testing.T) {
	t.Helper()
	t.Logf("writing: a change of %d in %d bytes sends %d bytes at the median of %d changes, %d at most",
		effortEdit, effortSize, median(e.written), len(e.written), slices.Max(e.written))
	t.Logf("reading: a load takes %.3f times the bare transfer at the median, %.3f at most: %d APDUs with %d bytes; the bare transfer of %d: %d with %d",
		median(e.times), slices.Max(e.times), e.mostLoad.APDUs, e.mostLoad.Out, e.bare.Read, e.bare.APDUs, e.bare.Out)
	if m := median(e.times); m > effortRead {
		t.Errorf("a load takes %.3f times the bare transfer at the median, %.2f is allowed", m, effortRead)
	}
}

func median[T cmp.Ordered](list []T) T { return slices.Sorted(slices.Values(list))[len(list)/2] }
