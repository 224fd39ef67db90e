package cardtest

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
)

// testHistories commits long rows of versions that come about in every way:
// edited, grown, shrunk, shifted, all new, empty and as large as can be. The
// newest and the one before must be whole after each.
func testHistories(t *testing.T, m card.Medium) {
	for seed := range uint64(3) {
		layout := mustFormat(t, m, slotSize)
		random := rand.New(rand.NewPCG(seed, 1))
		var data []byte
		for generation := uint64(1); generation <= 40; generation++ {
			data = mutated(random, data, layout.Capacity())
			mustCommit(t, m, generation, data)
			mustLoad(t, m, generation, data)
		}
		report, err := card.NewStore(m).Verify(t.Context())
		if err != nil || report.Slots[0].State != card.SlotWhole || report.Slots[1].State != card.SlotWhole {
			t.Fatalf("after 40 versions: %+v, %v", report, err)
		}
	}
}

// mutated is a version that could come after data, of at most limit bytes.
func mutated(random *rand.Rand, data []byte, limit int) []byte {
	piece := noise(random.Uint64N(1<<16), random.IntN(700))
	at := random.IntN(len(data) + 1)
	var next []byte
	switch random.IntN(8) {
	case 0:
		next = noise(random.Uint64N(1<<16), random.IntN(limit+1))
	case 1:
		next = noise(random.Uint64N(1<<16), limit)
	case 2: // cut out
		next = append(bytes.Clone(data[:at]), data[min(at+len(piece), len(data)):]...)
	case 3: // only a few bytes, in many places
		next = edited(data, min(20, len(data)))
	case 4: // what repeats itself
		next = bytes.Repeat(piece[:min(len(piece), 50)], 30)
	case 5: // overwritten
		next = bytes.Clone(data)
		copy(next[at:], piece)
	default: // inserted
		next = append(append(bytes.Clone(data[:at]), piece...), data[at:]...)
	}
	return next[:min(len(next), limit)]
}
