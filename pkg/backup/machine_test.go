package backup_test

import (
	"context"
	"testing"

	"github.com/reprovision/reprovision/pkg/backup"
)

// figure is FIG. 5 without the steps 512 and 516, written down a second time.
func figure() map[backup.State]map[backup.Event]backup.State {
	return map[backup.State]map[backup.Event]backup.State{
		backup.Started:   {backup.Begin: backup.InRange},
		backup.InRange:   {backup.Reachable: backup.Comparing, backup.Unreachable: backup.Away},
		backup.Comparing: {backup.Different: backup.Pairing, backup.Same: backup.Unchanged},
		backup.Pairing:   {backup.Paired: backup.Sending, backup.NotPaired: backup.Unpaired},
		backup.Sending:   {backup.Committed: backup.Finished, backup.Interrupted: backup.Broken},
	}
}

func TestStepIsTheFigure(t *testing.T) {
	want := figure()
	for s := backup.Started; s <= backup.Broken; s++ {
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

func TestDriveEndsWhereNothingChanged(t *testing.T) {
	final, err := backup.Drive(context.Background(), func(_ context.Context, s backup.State) (backup.Event, error) {
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
	_, err := backup.Drive(context.Background(), func(context.Context, backup.State) (backup.Event, error) {
		return backup.Committed, nil
	})
	if err == nil {
		t.Error("went on")
	}
}
