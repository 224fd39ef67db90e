package device

import (
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// TestUrgentForWhatIsMendedByItself: the reader is dialled more often for the sake of
// what is to be restored now and without a question, and of nothing else.
func TestUrgentForWhatIsMendedByItself(t *testing.T) {
	damaged := []detect.Finding{{Name: "keys/a", Class: userdata.Keys, Verdict: detect.Corrupted, Reason: "test"}}
	for name, c := range map[string]struct {
		policy   config.Policy
		readOnly bool
		failed   bool
		mended   bool
		want     bool
	}{
		"restored by itself":  {policy: config.Restore, want: true},
		"reported only":       {policy: config.Report},
		"asked about":         {policy: config.Ask},
		"mounted read-only":   {policy: config.Restore, readOnly: true},
		"tried, and given up": {policy: config.Restore, failed: true},
		"mended":              {policy: config.Restore, mended: true},
	} {
		r := newRig(t)
		r.d.cfg.Reprovision.Keys = c.policy
		seen := sight{report: detect.Report{Findings: damaged}}
		seen.now.Roots = []scan.RootState{{Name: "keys", ReadOnly: c.readOnly}}
		r.d.findings.take(seen)
		r.d.act(seen)
		if c.failed {
			r.d.findings.giveUp(damaged, r.d.now())
		}
		if c.mended {
			r.d.findings.take(sight{})
		}
		if got := r.d.urgent(); got != c.want {
			t.Errorf("%s: urgent %v", name, got)
		}
		if due := r.d.findings.pressing(r.d.now().Add(time.Hour)); due != (c.want || c.failed) {
			t.Errorf("%s: pressing an hour later %v", name, due)
		}
	}
}

// TestRetryAfterTheAnswer: the watchman, which waits for something to happen, is told when
// to try again what was declined or failed meanwhile.
func TestRetryAfterTheAnswer(t *testing.T) {
	r := newRig(t)
	damaged := []detect.Finding{{Name: "keys/a", Class: userdata.Keys, Verdict: detect.Erased, Reason: "test"}}
	r.d.answered(t.Context(), damaged, busapi.ErrDeclined)
	select {
	case <-r.d.wishes.news:
	default:
		t.Fatal("the watchman is not told")
	}
	if l := r.d.wishes.take(); l != nil {
		t.Errorf("it is to look at once: %+v", l)
	}
	retry, stop := r.d.findings.nextRetry(r.d.now())
	if stop(); retry == nil {
		t.Error("there is nothing to try again")
	}
}

// TestUrgentForARestoreUnderWay: one that the owner asked for and that the link cut off
// waits for the reader.
func TestUrgentForARestoreUnderWay(t *testing.T) {
	r := newRig(t)
	run := &restoreRun{Daemon: r.d}
	r.d.hands.hold(run, "", map[userdata.Name]bool{"keys/a": true})
	if !r.d.urgent() {
		t.Error("nobody hurries")
	}
	if r.d.hands.release(run); r.d.urgent() {
		t.Error("it is over")
	}
}
