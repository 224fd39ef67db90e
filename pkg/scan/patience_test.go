package scan

import (
	"context"
	"testing"
	"time"
)

// TestPatience: files that take as long as is usual cost none of it, slow ones have
// less and less time.
func TestPatience(t *testing.T) {
	const size = 10 << 20
	var p patience
	whole := p.limit(size)
	if whole != usual(size)+slowMost {
		t.Errorf("%s for the first file", whole)
	}
	for range 100_000 {
		p.spend(size, usual(size))
	}
	if got := p.limit(size); got != whole {
		t.Errorf("%s after many usual files, want %s", got, whole)
	}
	total := time.Duration(0)
	for range 1000 {
		took := p.limit(size)
		total += took
		p.spend(size, took)
	}
	if got := p.limit(size); got != usual(size) {
		t.Errorf("%s after many slow files, want %s", got, usual(size))
	}
	if most := 1000*usual(size) + slowAll; total > most {
		t.Errorf("slow files took %s, more than %s", total, most)
	}
}

// TestPatienceEndsAnExamination: an examiner that would never end is told to.
func TestPatienceEndsAnExamination(t *testing.T) {
	w := &walk{out: new(harvest), examine: func(ctx context.Context, _ Contents, n *Nature) {
		<-ctx.Done()
		n.Kind = "unknown"
	}}
	w.out.patience.slow = slowAll
	var n Nature
	w.examined(context.Background(), Contents{Size: 1}, &n)
	if n.Kind == "" || w.out.patience.slow < slowAll {
		t.Errorf("%+v, slow for %s", n, w.out.patience.slow)
	}
}
