package device

import (
	"log/slog"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/backup"
	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/session"
)

// openAuto is the automatic backup of a device with a state in dir, as at its start.
func openAuto(t *testing.T, dir string, settings config.Backup) *auto {
	t.Helper()
	st, err := openState(dir, time.Now(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	a, err := newAuto(settings, st, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = a.close(), st.close() })
	return a
}

// restart ends it in order, and opens it again.
func restart(t *testing.T, a *auto, dir string, settings config.Backup) *auto {
	t.Helper()
	if err := a.end(); err != nil {
		t.Fatal(err)
	}
	if err := a.state.close(); err != nil {
		t.Fatal(err)
	}
	return openAuto(t, dir, settings)
}

func file(every time.Duration, mode string) config.Backup {
	return config.Backup{Every: config.Duration{Duration: every}, Mode: mode}
}

// stopped is a clock that does not go on.
type stopped backup.Reading

func (s stopped) Read() backup.Reading { return backup.Reading(s) }

// TestWhoseWordHolds is step 512: the owner's goes before the settings file's, and
// outlasts restarts.
func TestWhoseWordHolds(t *testing.T) {
	dir := t.TempDir()
	a := openAuto(t, dir, file(0, "incremental"))
	if i := a.info(); i.State != "unset" || i.By != "" || i.Every != 0 || a.plan() != (session.BackupPlan{}) {
		t.Errorf("nobody said anything: %+v", i)
	}
	a = restart(t, a, dir, file(24*time.Hour, "full"))
	if i := a.info(); i.State != "on" || i.By != "settings" || i.Every != 86400 || i.Mode != "full" {
		t.Errorf("the settings file did: %+v", i)
	}
	if err := a.say(word{Every: time.Hour}); err != nil {
		t.Fatal(err)
	}
	a = restart(t, a, dir, file(24*time.Hour, "full"))
	if i := a.info(); i.State != "on" || i.By != "owner" || i.Every != 3600 || i.Mode != "incremental" {
		t.Errorf("the owner did: %+v", i)
	}
	if err := a.say(word{Off: true}); err != nil {
		t.Fatal(err)
	}
	a = restart(t, a, dir, file(24*time.Hour, "full"))
	if i := a.info(); i.State != "off" || i.By != "owner" || i.NextDue != 0 || a.plan() != (session.BackupPlan{}) {
		t.Errorf("the owner wants none: %+v", i)
	}
}

func TestUnreadableWordIsNone(t *testing.T) {
	for _, raw := range []string{"x", `{"every":-5}`, `{"every":1}`, `{"every":9000000000000000000}`, `[]`, "\xff"} {
		dir := t.TempDir()
		a := openAuto(t, dir, config.Backup{})
		if err := a.state.put(map[string][]byte{keySchedule: []byte(raw), keySpan: []byte(raw)}); err != nil {
			t.Fatal(err)
		}
		if err := a.state.close(); err != nil {
			t.Fatal(err)
		}
		if i := openAuto(t, dir, config.Backup{}).info(); i.State != "unset" {
			t.Errorf("%q: %+v", raw, i)
		}
	}
}

// TestSpanOutlastsRestarts resets a span and looks at it before and after.
func TestSpanOutlastsRestarts(t *testing.T) {
	dir, hourly := t.TempDir(), file(time.Hour, "incremental")
	a := openAuto(t, dir, hourly)
	if !a.due(nil) {
		t.Error("never backed up, and not due")
	}
	if err := a.reset(busapi.BackupResult{Changed: true, Held: []string{"secret name"}, Card: busapi.CardInfo{State: "full"}}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		i := a.info()
		if a.due(nil) || i.LastResult != resultSaved || i.OverdueSince != 0 || i.NextDue < time.Now().Add(59*time.Minute).Unix() {
			t.Errorf("just backed up: %+v", i)
		}
		if want := "1 damaged or unreadable items kept as they were last good; the card could not take it (full)"; i.LastReason != want {
			t.Errorf("the reason is %q", i.LastReason)
		}
		if p := a.plan(); p.Every != time.Hour || p.DueIn <= 59*time.Minute || p.DueIn > time.Hour {
			t.Errorf("the reader is told %+v", p)
		}
		a = restart(t, a, dir, hourly)
	}
}

// TestNext is when the loop wakes by itself: never while there is nothing that it
// could do.
func TestNext(t *testing.T) {
	for _, c := range []struct {
		name      string
		every     time.Duration
		ago       time.Duration // since the last backup
		told      bool
		rest      time.Duration // from now
		low, high time.Duration // less than 0: never
	}{
		{"nothing said", 0, time.Hour, false, 0, -1, -1},
		{"not due", 2 * time.Hour, time.Hour, false, 0, 59 * time.Minute, time.Hour},
		{"due, and soon overdue", time.Hour, 61 * time.Minute, false, 0, 13 * time.Minute, 14 * time.Minute},
		{"due, and failed", time.Hour, 61 * time.Minute, false, time.Minute, 59 * time.Second, time.Minute},
		{"overdue, and told", time.Hour, 90 * time.Minute, true, 0, -1, -1},
		{"overdue, told, and failed", time.Hour, 90 * time.Minute, true, time.Minute, 59 * time.Second, time.Minute},
		{"overdue, told, and failed long ago", time.Hour, 90 * time.Minute, true, -time.Minute, -1, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := openAuto(t, t.TempDir(), file(c.every, "incremental"))
			now := backup.Reading{Boot: "b", Up: 1000 * time.Hour, Wall: time.Now()}
			a.clock, a.span = stopped(now), backup.NewSpan(now, c.ago, 0)
			a.rest, a.failures = now.Up+c.rest, 1
			if got := a.next(c.told); got < c.low || got > c.high {
				t.Errorf("wakes after %v, want %v to %v", got, c.low, c.high)
			}
		})
	}
}

// TestFailuresWaitLonger has attempts fail, and a session begin.
func TestFailuresWaitLonger(t *testing.T) {
	a := openAuto(t, t.TempDir(), file(24*time.Hour, "incremental"))
	for _, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
		news, err := a.fell(resultFailed, "why", "")
		if err != nil || !news {
			t.Errorf("news %v, %v", news, err)
		}
		if got := a.rest - a.clock.Read().Up; got > want || got < want-10*time.Second {
			t.Errorf("rests for %v, want %v", got, want)
		}
		if a.due(nil) {
			t.Error("due again at once")
		}
	}
	s := new(session.Session)
	a.meet(s)
	if !a.due(s) || a.due(new(session.Session)) {
		t.Error("a session that has begun makes it due, and no other")
	}
	if news, err := a.fell(resultAway, "r", promptReader); err != nil || !news {
		t.Errorf("news %v, %v", news, err)
	}
	if news, err := a.fell(resultAway, "r", promptReader); err != nil || news {
		t.Errorf("the same again: news %v, %v", news, err)
	}
}
