package reprovision_test

import (
	"context"
	"errors"
	"testing"

	"github.com/reprovision/reprovision/pkg/reprovision"
)

// figure is FIG. 6 written down a second time, edge by edge.
func figure() map[reprovision.State]map[reprovision.Event]reprovision.State {
	return map[reprovision.State]map[reprovision.Event]reprovision.State{
		reprovision.Initiated: {reprovision.Begin: reprovision.Querying},
		reprovision.Querying: {
			reprovision.DataFound: reprovision.Passcode, reprovision.NoDataFound: reprovision.NoData,
			reprovision.Interrupted: reprovision.Initiated,
		},
		reprovision.Passcode: {
			reprovision.NeedPasscode: reprovision.Prompting, reprovision.OpenAlready: reprovision.Confirming,
			reprovision.Interrupted: reprovision.Initiated,
		},
		reprovision.Prompting: {
			reprovision.Entered: reprovision.Verifying, reprovision.Declined: reprovision.Refused,
			reprovision.Interrupted: reprovision.Initiated,
		},
		reprovision.Verifying: {
			reprovision.Accepted: reprovision.Confirming, reprovision.Rejected: reprovision.Prompting,
			reprovision.LockedOut: reprovision.Refused, reprovision.Interrupted: reprovision.Initiated,
		},
		reprovision.Confirming: {
			reprovision.Confirmed: reprovision.Restoring, reprovision.Declined: reprovision.Refused,
			reprovision.Interrupted: reprovision.Initiated,
		},
		reprovision.Restoring: {reprovision.Restored: reprovision.Proving, reprovision.Interrupted: reprovision.Initiated},
		reprovision.Proving:   {reprovision.Proved: reprovision.Finished, reprovision.Interrupted: reprovision.Initiated},
	}
}

func TestStepIsTheFigure(t *testing.T) {
	want := figure()
	for s := reprovision.Initiated; s <= reprovision.Refused; s++ {
		for e := reprovision.Begin; e <= reprovision.Proved; e++ {
			next, ok := reprovision.Step(s, e)
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

func TestDriveStartsAnewAfterAnInterruption(t *testing.T) {
	cut := true
	var visited []reprovision.State
	final, err := reprovision.Drive(context.Background(), func(_ context.Context, s reprovision.State) (reprovision.Event, error) {
		visited = append(visited, s)
		switch s {
		case reprovision.Initiated:
			return reprovision.Begin, nil
		case reprovision.Querying:
			return reprovision.DataFound, nil
		case reprovision.Passcode:
			return reprovision.OpenAlready, nil
		case reprovision.Confirming:
			return reprovision.Confirmed, nil
		case reprovision.Restoring:
			if cut {
				cut = false
				return reprovision.Interrupted, nil
			}
			return reprovision.Restored, nil
		}
		return reprovision.Proved, nil
	})
	if err != nil || final != reprovision.Finished {
		t.Fatalf("ended in %d: %v", final, err)
	}
	if len(visited) != 10 {
		t.Errorf("went through %v", visited)
	}
}

func TestDriveStopsAtAnError(t *testing.T) {
	broken := errors.New("broken")
	final, err := reprovision.Drive(context.Background(), func(context.Context, reprovision.State) (reprovision.Event, error) {
		return 0, broken
	})
	if !errors.Is(err, broken) || final != reprovision.Querying {
		t.Errorf("ended in %d: %v", final, err)
	}
}

func TestDriveRefusesAnImpossibleEvent(t *testing.T) {
	_, err := reprovision.Drive(context.Background(), func(context.Context, reprovision.State) (reprovision.Event, error) {
		return reprovision.Proved, nil
	})
	if err == nil {
		t.Error("went on")
	}
}
