package device

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestRanks wants the slot to go to the best rank, and among equals to who came first.
func TestRanks(t *testing.T) {
	o := newOperations(func() {})
	first, err := o.begin(t.Context(), activityReprovision, rankMend)
	if err != nil {
		t.Fatal(err)
	}
	names := map[*ticket]string{
		o.enter("idle 1", rankIdle): "idle 1",
	}
	for _, add := range []struct {
		name string
		rank rank
	}{{"mend 1", rankMend}, {"urgent 1", rankUrgent}, {"mend 2", rankMend}, {"urgent 2", rankUrgent}, {"owner", rankOwner}} {
		names[o.enter(add.name, add.rank)] = add.name
	}
	left := o.enter("has left", rankUrgent)
	left.end()
	var order []string
	for last := first; len(names) > 0; {
		last.end()
		last.end() // no harm
		last = nil
		for w, name := range names {
			select {
			case <-w.turn:
				if last != nil {
					t.Fatal("two have the slot")
				}
				last = w
				order = append(order, name)
				delete(names, w)
			default:
			}
		}
		if last == nil {
			t.Fatal("nobody has the slot")
		}
	}
	want := []string{"urgent 1", "urgent 2", "owner", "mend 1", "mend 2", "idle 1"}
	if !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}

// TestBidden wants who has the slot to hear of a better rank, after a time of its own, and
// of nobody else.
func TestBidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOperations(func() {})
		mine, err := o.begin(t.Context(), activityReprovision, rankUrgent)
		if err != nil {
			t.Fatal(err)
		}
		bid, stop := mine.bidden(t.Context(), time.Minute)
		defer stop()
		heard := func() bool {
			synctest.Wait()
			select {
			case <-bid:
				return true
			default:
				return false
			}
		}
		urgent := o.enter("check", rankUrgent)
		time.Sleep(2 * time.Minute)
		if heard() {
			t.Error("gives way to an equal")
		}
		urgent.end()
		mine.become(rankMend)
		idle := o.enter("check", rankIdle)
		if heard() {
			t.Error("gives way to a worse rank")
		}
		idle.become(rankUrgent) // it has become so while it waits
		if !heard() {
			t.Error("did not hear of a better rank")
		}
		again, stopAgain := mine.bidden(t.Context(), time.Minute)
		defer stopAgain()
		begun := time.Now()
		<-again
		if own := time.Since(begun); own != time.Minute {
			t.Errorf("had %v for itself", own)
		}
	})
}

// TestBeginEnds wants a queue that nobody is left in who does not wait any more.
func TestBeginEnds(t *testing.T) {
	o := newOperations(func() {})
	first, err := o.begin(t.Context(), activityCheck, rankIdle)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := o.begin(ctx, activityCheck, rankUrgent); err == nil {
		t.Fatal("has the slot twice")
	}
	first.end()
	if second, err := o.begin(t.Context(), activityCheck, rankIdle); err != nil {
		t.Fatal(err)
	} else {
		second.end()
	}
	if got := o.current(); got != activityIdle {
		t.Errorf("activity %q at the end", got)
	}
}
