package scan

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// TestSortByName compares with a stable sort, with and without names that stand
// there several times.
func TestSortByName(t *testing.T) {
	type element struct {
		name userdata.Name
		was  int
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 3, 10, 1000} {
		for _, names := range []int{1, n/2 + 1, 100 * (n + 1)} {
			got := make([]element, n)
			for i := range got {
				got[i] = element{userdata.Name("keys/" + strconv.Itoa(r.IntN(names))), i}
			}
			want := slices.Clone(got)
			slices.SortStableFunc(want, func(a, b element) int { return strings.Compare(string(a.name), string(b.name)) })
			want = slices.CompactFunc(want, func(a, b element) bool { return a.name == b.name })
			got = sortByName(got, func(e *element) userdata.Name { return e.name })
			if !slices.Equal(got, want) {
				t.Errorf("%d elements of %d names: got %v, want %v", n, names, got, want)
			}
		}
	}
}
