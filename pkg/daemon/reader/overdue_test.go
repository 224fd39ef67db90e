package reader

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reprovision/reprovision/pkg/backup"
	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/session"
)

// stopped is a clock that does not go on.
type stopped backup.Reading

func (s stopped) Read() backup.Reading { return backup.Reading(s) }

// says has a device tell its plan.
func (r *rig) says(p session.Peer, every, due time.Duration) {
	r.Helper()
	_, err := r.d.Hello(r.Context(), p, session.Hello{Name: "phone", Backup: session.BackupPlan{Every: every, DueIn: due}})
	r.must(err)
}

func (r *rig) overdue() []busapi.OverdueInfo {
	r.Helper()
	st, err := r.d.Status(r.Context())
	r.must(err)
	return st.Overdue
}

// TestOverdue has devices tell when they back up, and not come back.
func TestOverdue(t *testing.T) {
	r := newRig(t)
	r.d.plans.clock = stopped{Boot: "b", Up: 1000 * time.Hour, Wall: r.d.now()}
	phone, tablet, watch := r.pair("phone"), r.pair("tablet"), r.pair("watch")
	r.says(phone, time.Hour, -3*time.Hour)
	r.says(tablet, time.Hour, 10*time.Minute)
	r.says(watch, 0, 0)
	want := []busapi.OverdueInfo{{ID: phone.ID, Name: "phone", Every: 3600, Late: 3 * 3600}}
	if diff := cmp.Diff(want, r.overdue()); diff != "" {
		t.Error(diff)
	}
	again, err := r.d.sayOverdue()
	if err != nil || again > 25*time.Minute || again < 24*time.Minute {
		t.Errorf("looks again after %v, %v", again, err)
	}
	screen, err := r.d.Display(t.Context())
	if want := []string{"Backup overdue", "", "phone: for 3 h", "", "Bring the device near", "", "No card"}; err != nil || !cmp.Equal(want, screen.Lines) {
		t.Errorf("the display shows %q, %v", screen.Lines, err)
	}
	r.says(phone, time.Hour, time.Hour) // it has backed up
	if _, err := r.d.sayOverdue(); err != nil || len(r.overdue()) != 0 {
		t.Errorf("still overdue: %v", r.overdue())
	}
	if screen, _ := r.d.Display(t.Context()); strings.Contains(strings.Join(screen.Lines, " "), "overdue") {
		t.Errorf("the display shows %q", screen.Lines)
	}
	r.says(phone, time.Hour, -3*time.Hour)
	r.must(r.d.unpin(phone.ID))
	if late := r.overdue(); len(late) != 0 {
		t.Errorf("a device that was forgotten is overdue: %v", late)
	}
}

// TestPlansOutlastRestarts ends the reader with a device that is due, and begins
// anew without it.
func TestPlansOutlastRestarts(t *testing.T) {
	r := newRig(t)
	phone := r.pair("phone")
	r.says(phone, 24*time.Hour, -48*time.Hour)
	r.must(r.d.plans.end())
	again, err := openPlans(r.d.cfg.StateDir, r.d.now, r.d.log)
	r.must(err)
	t.Cleanup(func() { _ = again.close() })
	got := again.all[phone.ID]
	if passed := got.Span.At(again.clock.Read()).Passed; got.Every != 24*time.Hour || passed < 72*time.Hour || passed > 73*time.Hour {
		t.Errorf("the reader remembers %+v", got)
	}
}

func TestDamagedPlansAreForgotten(t *testing.T) {
	for _, raw := range []string{"", "null", "[]", `{"a":{"every":-1}}`, `{"a":5}`, strings.Repeat(" ", maxPlans+1), "\xff"} {
		r := newRig(t)
		r.must(r.d.plans.close())
		r.must(os.WriteFile(filepath.Join(r.d.cfg.StateDir, "plans.json"), []byte(raw), 0o600))
		p, err := openPlans(r.d.cfg.StateDir, r.d.now, r.d.log)
		r.must(err)
		if len(p.all) != 0 {
			t.Errorf("%.20q: %v", raw, p.all)
		}
		r.must(p.hear("a", session.BackupPlan{Every: time.Hour}))
		r.must(p.close())
	}
}

// TestPlanIsWrittenOnce has a device say the same again, in a session after the
// other: the medium is spared.
func TestPlanIsWrittenOnce(t *testing.T) {
	r := newRig(t)
	phone := r.pair("phone")
	file := filepath.Join(r.d.cfg.StateDir, "plans.json")
	r.says(phone, 24*time.Hour, 5*time.Hour)
	r.must(os.Remove(file))
	r.says(phone, 24*time.Hour, 5*time.Hour)
	if _, err := os.Stat(file); err == nil {
		t.Error("written again")
	}
	r.says(phone, 24*time.Hour, 24*time.Hour)
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestRoughly(t *testing.T) {
	for d, want := range map[time.Duration]string{
		5 * time.Second: "5 s", 90 * time.Second: "1 min", 5 * time.Hour: "5 h", 49 * time.Hour: "2 days", backup.MaxEvery: "366 days",
	} {
		if got := roughly(d); got != want {
			t.Errorf("%v: %q", d, got)
		}
	}
}
