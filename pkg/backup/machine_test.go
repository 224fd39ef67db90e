package backup_test

import (
	"context"
	"testing"

	"github.com/reprovision/reprovision/pkg/backup"
)

// figure is FIG. 5 written down a second time. Begin leaves out 512 to 516.
func figure() map[backup.State]map[backup.Event]backup.State {
	return map[backup.State]map[backup.Event]backup.State{
		backup.Started:     {backup.Begin: backup.InRange, backup.Tick: backup.Configured},
		backup.Configured:  {backup.Known: backup.Elapsing, backup.Unknown: backup.Configuring, backup.Off: backup.Disabled},
		backup.Configuring: {backup.Known: backup.Chosen, backup.Off: backup.Disabled, backup.Silent: backup.Unanswered},
		backup.Elapsing:    {backup.TimeUp: backup.InRange, backup.NotYet: backup.Waiting},
		backup.InRange:     {backup.Reachable: backup.Comparing, backup.Unreachable: backup.Away},
		backup.Comparing:   {backup.Different: backup.Pairing, backup.Same: backup.Unchanged, backup.Foreign: backup.Undecided},
		backup.Pairing:     {backup.Paired: backup.Sending, backup.NotPaired: backup.Unpaired},
		backup.Sending:     {backup.Committed: backup.Finished, backup.Interrupted: backup.Broken},
	}
}

func TestStepIsTheFigure(t *testing.T) {
	want := figure()
	for s := backup.Started; s <= backup.Undecided; s++ {
		for e := backup.Begin; e <= backup.Interrupted; e++ {
			next, ok := backup.Step(s, e)
			expected, has := want[s][e]
			if !has {
				expected = s
			}
			if ok != has || next != expected {
				t.Errorf("Step(%d, %d) = %d, %v, want %d, %v", s, e, next, ok, expected, has)
			}
		}
		if s.Terminal() != (len(want[s]) == 0) {
			t.Errorf("state %d: terminal %v", s, s.Terminal())
		}
	}
}

// TestWalks goes through the figure from 510 and back there, once for each way.
func TestWalks(t *testing.T) {
	for _, c := range []struct {
		name   string
		events []backup.Event // in the order of the steps
		end    backup.State
		resets bool
	}{
		{"not configured, and the owner configures it", []backup.Event{backup.Tick, backup.Unknown, backup.Known}, backup.Chosen, false},
		{"not configured, and the owner wants none", []backup.Event{backup.Tick, backup.Unknown, backup.Off}, backup.Disabled, false},
		{"not configured, and nobody answers", []backup.Event{backup.Tick, backup.Unknown, backup.Silent}, backup.Unanswered, false},
		{"disabled", []backup.Event{backup.Tick, backup.Off}, backup.Disabled, false},
		{"not yet", []backup.Event{backup.Tick, backup.Known, backup.NotYet}, backup.Waiting, false},
		{"due and away", []backup.Event{backup.Tick, backup.Known, backup.TimeUp, backup.Unreachable}, backup.Away, false},
		{"due and unchanged", []backup.Event{backup.Tick, backup.Known, backup.TimeUp, backup.Reachable, backup.Same}, backup.Unchanged, true},
		{"due and another's data", []backup.Event{backup.Tick, backup.Known, backup.TimeUp, backup.Reachable, backup.Foreign}, backup.Undecided, false},
		{"due and not paired", []backup.Event{backup.Tick, backup.Known, backup.TimeUp, backup.Reachable, backup.Different, backup.NotPaired}, backup.Unpaired, false},
		{"due and done", []backup.Event{backup.Tick, backup.Known, backup.TimeUp, backup.Reachable, backup.Different, backup.Paired, backup.Committed}, backup.Finished, true},
		{"due and cut", []backup.Event{backup.Tick, backup.Known, backup.TimeUp, backup.Reachable, backup.Different, backup.Paired, backup.Interrupted}, backup.Broken, false},
		{"asked for and done", []backup.Event{backup.Begin, backup.Reachable, backup.Different, backup.Paired, backup.Committed}, backup.Finished, true},
		{"asked for and unchanged", []backup.Event{backup.Begin, backup.Reachable, backup.Same}, backup.Unchanged, true},
		{"asked for and away", []backup.Event{backup.Begin, backup.Unreachable}, backup.Away, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			left := c.events[1:]
			end, err := backup.Drive(context.Background(), c.events[0], func(context.Context, backup.State) (backup.Event, error) {
				e := left[0]
				left = left[1:]
				return e, nil
			})
			if err != nil || end != c.end || len(left) != 0 || end.Resets() != c.resets {
				t.Errorf("ended in %d with %d events left, resets %v: %v", end, len(left), end.Resets(), err)
			}
		})
	}
}

func TestDriveEndsWhereNothingChanged(t *testing.T) {
	final, err := backup.Drive(context.Background(), backup.Begin, func(_ context.Context, s backup.State) (backup.Event, error) {
		if s == backup.InRange {
			return backup.Reachable, nil
		}
		return backup.Same, nil
	})
	if err != nil || final != backup.Unchanged {
		t.Errorf("ended in %d: %v", final, err)
	}
}

func TestDriveRefusesAnImpossibleEvent(t *testing.T) {
	_, err := backup.Drive(context.Background(), backup.Begin, func(context.Context, backup.State) (backup.Event, error) {
		return backup.Committed, nil
	})
	if err == nil {
		t.Error("went on")
	}
}
