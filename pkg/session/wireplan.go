package session

import (
	"time"

	"github.com/reprovision/reprovision/pkg/session/sessionpb"
)

func writePlan(p BackupPlan) *sessionpb.BackupPlan {
	if p.Every < time.Millisecond {
		return nil
	}
	return &sessionpb.BackupPlan{EveryMs: uint64(p.Every.Milliseconds()), DueInMs: p.DueIn.Milliseconds()}
}

// readPlan takes what a device says of its plan within bounds; a plan that is
// none is the zero plan.
func readPlan(m *sessionpb.BackupPlan) BackupPlan {
	const most = int64(MaxPlan / time.Millisecond)
	every := int64(min(m.GetEveryMs(), uint64(most)))
	if every == 0 {
		return BackupPlan{}
	}
	due := min(max(m.GetDueInMs(), -most), every)
	return BackupPlan{Every: time.Duration(every) * time.Millisecond, DueIn: time.Duration(due) * time.Millisecond}
}
