package detect

import (
	"fmt"
	"testing"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// TestTogether: what is spread over days is no event, and what is rewritten within one is
// part of it to the last.
func TestTogether(t *testing.T) {
	list := func(n int, step int64, open func(int) bool) (all []rewrite) {
		for i := range n {
			all = append(all, rewrite{userdata.Name(fmt.Sprintf("keys/%d", i)), int64(i) * step, open(i)})
		}
		return all
	}
	every := func(int) bool { return true }
	for what, c := range map[string]struct {
		all  []rewrite
		want int
	}{
		"at once":                     {list(30, 0, every), 30},
		"an hour apart":               {list(30, rewriteTime+1, every), 0},
		"nine an hour":                {list(30, rewriteTime/8, every), 0},
		"ten an hour":                 {list(30, rewriteTime/9, every), 30},
		"noise for noise":             {list(30, 0, func(int) bool { return false }), 0},
		"some noise for noise":        {list(30, 0, func(i int) bool { return i%3 == 0 }), 30},
		"one after the event is over": {append(list(12, 1, every), rewrite{"keys/late", 3 * rewriteTime, true}), 12},
		"nothing":                     {nil, 0},
	} {
		if got := together(c.all); len(got) != c.want {
			t.Errorf("%s: %d of %d", what, len(got), len(c.all))
		}
	}
}
