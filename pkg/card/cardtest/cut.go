package cardtest

import (
	"errors"
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
)

// tears are the numbers of bytes that a torn write still gets onto the card.
func tears() []int { return []int{0, 1, 40, card.HeaderSize - 1, 1 << 20} }

// testCutEveryWrite pulls the card at every write of a commit, torn and not. The
// version before must be there afterwards, or the new one if all of it arrived,
// and the next commit must work.
func testCutEveryWrite(t *testing.T, m card.SlotMedium) {
	mustFormat(t, m, slotSize)
	data, generation := noise(1, 3000), uint64(1)
	mustCommit(t, m, generation, data)
	for _, torn := range tears() {
		for cut := 1; ; cut++ {
			next := edited(data, 5)
			faulty := &Faulty{Medium: m, CutAt: cut, Torn: torn}
			err := card.NewStore(faulty).Commit(t.Context(), generation+1, next)
			if err == nil {
				generation, data = generation+1, next
				mustLoad(t, m, generation, data)
				break
			}
			want(t, err, card.ErrRemoved)
			object, err := card.NewStore(m).Load(t.Context())
			if err != nil {
				t.Fatalf("cut at write %d after %d bytes: %v", cut, torn, err)
			}
			if object.Generation == generation+1 { // nothing was missing but the answer
				generation, data = generation+1, next
			}
			if mustLoad(t, m, generation, data).Lost != 0 {
				t.Fatalf("a torn commit counts as lost")
			}
		}
	}
}

// testCutFirstCommit pulls the card at every write of the first commit ever.
func testCutFirstCommit(t *testing.T, m card.SlotMedium) {
	for _, torn := range tears() {
		for cut := 1; cut <= 2; cut++ {
			mustFormat(t, m, slotSize)
			faulty := &Faulty{Medium: m, CutAt: cut, Torn: torn}
			want(t, card.NewStore(faulty).Commit(t.Context(), 1, noise(1, 500)), card.ErrRemoved)
			object, err := card.NewStore(m).Load(t.Context())
			whole := err == nil && object.Generation == 1
			if !whole && !errors.Is(err, card.ErrBlank) && !errors.Is(err, card.ErrDamaged) {
				t.Fatalf("cut at write %d after %d bytes: generation %d, %v", cut, torn, object.Generation, err)
			}
			mustCommit(t, m, 2, noise(2, 500))
			mustLoad(t, m, 2, noise(2, 500))
		}
	}
}

// testCutAfterDamaged pulls the card while the only whole version is the older
// one: the commit must have spared it.
func testCutAfterDamaged(t *testing.T, m card.SlotMedium) {
	mustFormat(t, m, slotSize)
	mustCommit(t, m, 1, noise(1, 500))
	mustCommit(t, m, 2, noise(2, 500))
	wear(t, m, noise(2, 500)[250:])
	for cut := 1; cut <= 2; cut++ {
		faulty := &Faulty{Medium: m, CutAt: cut, Torn: 30}
		want(t, card.NewStore(faulty).Commit(t.Context(), 3, noise(3, 500)), card.ErrRemoved)
		mustLoad(t, m, 1, noise(1, 500))
	}
}
