package cardtest

import (
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

// Limits of TestEffort.
const (
	effortSize  = 20 << 10 // bytes of the version
	effortEdit  = 1 << 10  // bytes that change each time
	effortWrite = 3 << 10  // bytes that a commit may write then
	effortRead  = 1.15     // APDUs of a load, as a multiple of the bare transfer's
)

// TestEffort measures on a card of a common size what goes over its contacts:
// commits of 20 kB in which 1 kB is new, over and over, and a load. kind.Fresh
// gives a card that has room for two such versions.
func TestEffort(t *testing.T, kind Kind) {
	c := kind.Fresh(t)
	m := kind.open(t, c)
	mustFormat(t, m, 0)
	data := noise(1, effortSize)
	mustCommit(t, m, 1, data)
	mustCommit(t, m, 2, data)
	loadEffort(t, kind, c, "as it was committed", effortRead)
	most, total, rounds := 0, 0, uint64(100)
	for i := range rounds {
		copy(data[int(i)*7919%(effortSize-effortEdit):], noise(i+9, effortEdit))
		m = kind.open(t, c)
		before := c.Counts()
		mustCommit(t, m, 3+i, data)
		written := c.Counts().Written - before.Written
		most, total = max(most, written), total+written
		if i == 0 {
			loadEffort(t, kind, c, "after the first change", effortRead)
		}
	}
	t.Logf("a change of %d in %d bytes writes %d bytes on average of %d, %d at most", effortEdit, effortSize, total/int(rounds), rounds, most)
	if most > effortWrite {
		t.Errorf("%d bytes written for a change of %d", most, effortEdit)
	}
	loadEffort(t, kind, c, "after the last change", 0)
	mustLoad(t, kind.open(t, c), 2+rounds, data)
	shifted := append(append(append([]byte{}, data[:7000]...), noise(5, effortEdit)...), data[7000:]...)
	before := c.Counts().Written
	mustCommit(t, kind.open(t, c), 3+rounds, shifted)
	t.Logf("an insertion of %d bytes into %d writes %d bytes", effortEdit, effortSize, c.Counts().Written-before)
	mustLoad(t, kind.open(t, c), 3+rounds, shifted)
}

// loadEffort compares a load with the bare transfer of as many bytes.
func loadEffort(t *testing.T, kind Kind, c *virtual.Card, when string, limit float64) {
	t.Helper()
	m := kind.open(t, c)
	before := c.Counts()
	object, err := card.NewStore(m).Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	after, bare := c.Counts(), (len(object.Data)+255)/256
	apdus, bytes := after.APDUs-before.APDUs, after.Out-before.Out
	t.Logf("%s, a load takes %d APDUs with %d bytes; the bare transfer %d with %d", when, apdus, bytes, bare, len(object.Data)+2*bare)
	if limit > 0 && (float64(apdus) > limit*float64(bare) || float64(bytes) > limit*float64(len(object.Data))) {
		t.Errorf("that is more than %v times", limit)
	}
}
