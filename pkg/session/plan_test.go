package session

import (
	"math"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/session/sessionpb"
)

func TestBackupPlanOnTheWire(t *testing.T) {
	for _, p := range []BackupPlan{
		{}, {Every: time.Millisecond}, {Every: 24 * time.Hour, DueIn: 3 * time.Hour}, {Every: 2 * time.Second, DueIn: -time.Hour},
		{Every: MaxPlan, DueIn: -MaxPlan},
	} {
		if got := readPlan(writePlan(p)); got != p {
			t.Errorf("%+v came back as %+v", p, got)
		}
	}
}

func TestHostileBackupPlan(t *testing.T) {
	for _, m := range []*sessionpb.BackupPlan{
		nil, {DueInMs: 5}, {EveryMs: math.MaxUint64, DueInMs: math.MinInt64}, {EveryMs: 1, DueInMs: math.MaxInt64},
	} {
		p := readPlan(m)
		if p.Every < 0 || p.Every > MaxPlan || p.DueIn > p.Every || p.DueIn < -MaxPlan {
			t.Errorf("%v became %+v", m, p)
		}
	}
}
