package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
)

func TestParseEvery(t *testing.T) {
	for text, want := range map[string]int64{
		"1s": 1, "90s": 90, "30m": 1800, "24h": 86400, "1h30m": 5400, "7d": 7 * 86400,
		"": 0, "d": 0, "0d": 0, "-1d": 0, "1.5d": 0, "999999d": 0, "500ms": 0, "1500ms": 0, "-1h": 0, "soon": 0, "5": 0,
	} {
		got, err := parseEvery(text)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

func TestSpans(t *testing.T) {
	for seconds, want := range map[int64]string{1: "1 s", 90: "90 s", 1800: "30 min", 5400: "90 min", 86400: "24 h", 172800: "2 days", 90000: "25 h"} {
		if got := span(seconds); got != want {
			t.Errorf("span(%d) = %q, want %q", seconds, got, want)
		}
	}
	for seconds, want := range map[int64]string{-5: "0 s", 59: "59 s", 119: "1 min", 7200: "2 h", 90000: "25 h", 200000: "2 days"} {
		if got := lasting(seconds); got != want {
			t.Errorf("lasting(%d) = %q, want %q", seconds, got, want)
		}
	}
}

func TestAutoBackupIsConfigured(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		args string
		code int
	}{
		{"configure --every 7d --mode full", 0}, {"configure --every 2s", 0}, {"disable", 0},
		{"configure", 2}, {"configure --every never", 2}, {"configure --every 1h --mode some", 2}, {"disable now", 2}, {"", 2},
	} {
		if r := w.run(append([]string{"autobackup"}, strings.Fields(c.args)...)...); r.code != c.code {
			t.Errorf("%q: %+v", c.args, r)
		}
	}
	want := []string{"ConfigureAutoBackup {Every:604800 Mode:full}", "ConfigureAutoBackup {Every:2 Mode:incremental}", "DisableAutoBackup"}
	if diff := cmp.Diff(want, w.device.Calls()); diff != "" {
		t.Error(diff)
	}
}

func TestHowTheAutomaticBackupStands(t *testing.T) {
	now := time.Now().Unix()
	for _, c := range []struct {
		info busapi.AutoBackupInfo
		want string
	}{
		{busapi.AutoBackupInfo{State: "unset", Prompt: "configure"}, "Automatic  not configured\nWanted     say when to back up"},
		{busapi.AutoBackupInfo{State: "off", By: "owner"}, "Automatic  off\nSaid by    the owner\n"},
		{busapi.AutoBackupInfo{State: "on", By: "settings", Every: 86400, Mode: "full", NextDue: now + 7300, LastRun: now - 130, LastResult: "unchanged"},
			"Automatic  every 24 h, full; next in 2 h\nSaid by    the settings file\nLast time  nothing had changed, 2 min ago\n"},
		{busapi.AutoBackupInfo{State: "on", By: "owner", Every: 3600, Mode: "incremental", NextDue: now, OverdueSince: now - 3*86400 - 9, LastRun: now - 200,
			LastResult: "away", LastReason: "no such host\x1b", Prompt: "reader"},
			"Automatic  every 1 h, incremental; OVERDUE for 3 days\nSaid by    the owner\n" +
				"Last time  the reader was not there, 3 min ago: no such host\\x1b\nWanted     a backup is due: bring the reader near"},
		{busapi.AutoBackupInfo{State: "on", By: "owner", Every: 5, Mode: "incremental", NextDue: now - 1}, "every 5 s, incremental; due now\n"},
	} {
		w := newWorld(t)
		w.device.Set(func(v *bustest.DeviceValues) { v.Auto, v.State.AutoBackup = c.info, &c.info })
		if r := w.runAt(now, "autobackup", "show"); r.code != 0 || !strings.Contains(r.out, c.want) {
			t.Errorf("got\n%s%swant\n%s", r.out, r.err, c.want)
		}
		first, _, _ := strings.Cut(strings.TrimPrefix(c.want, "Automatic  "), "\n")
		if r := w.runAt(now, "status"); !strings.Contains(r.out, first) {
			t.Errorf("the status says\n%s", r.out)
		}
	}
}

func TestReaderTellsWhatIsOverdue(t *testing.T) {
	w := newWorld(t)
	w.reader.Set(func(v *bustest.ReaderValues) {
		v.State.Overdue = []busapi.OverdueInfo{{ID: "aa", Name: "phone", Every: 86400, Late: 3 * 86400}}
	})
	for _, command := range []string{"status", "reader status"} {
		if r := w.run(strings.Fields(command)...); !strings.Contains(r.out, "OVERDUE for 3 days: phone backs up every 24 h\n") {
			t.Errorf("%s says\n%s", command, r.out)
		}
	}
}
