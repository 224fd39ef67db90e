package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
)

func TestAuthorizationIsOverridden(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		args string
		code int
	}{
		{"override --for 8h", 0}, {"override --for 7d", 0}, {"resume", 0}, {"", 0},
		{"override", 2}, {"override --for ever", 2}, {"override 8h", 2}, {"resume now", 2}, {"restore", 2},
	} {
		if r := w.run(append([]string{"authorization"}, strings.Fields(c.args)...)...); r.code != c.code {
			t.Errorf("%q: %+v", c.args, r)
		}
	}
	want := []string{"OverrideAuthorization {Seconds:28800}", "OverrideAuthorization {Seconds:604800}", "ResumeAuthorization", "Authorization"}
	if diff := cmp.Diff(want, w.device.Calls()); diff != "" {
		t.Error(diff)
	}
}

func TestHowTheAuthorizationStands(t *testing.T) {
	now := time.Now().Unix()
	units := func(state, err string) []busapi.FunctionInfo {
		return []busapi.FunctionInfo{{Function: "units", State: state, Error: err}}
	}
	for _, c := range []struct {
		info busapi.AuthorizationInfo
		line string // of the status, too
		rest string
	}{
		{busapi.AuthorizationInfo{State: "enabled", Reason: "proven", Expires: now + 30, LastProof: now - 7, Heartbeat: 10, Grace: 30, Functions: units("enabled", "")},
			"authorizes this device", "Units       on\nLast proof  7 s ago\nHeartbeat   every 10 s, grace 30 s\n"},
		{busapi.AuthorizationInfo{State: "expiring", Reason: "card-out", Expires: now + 130, Functions: units("enabled", ""), Heartbeat: 0.5, Grace: 2},
			"the card is not in the reader; functions go off in 2 min", "Heartbeat   every 0.5 s, grace 2 s\n"},
		{busapi.AuthorizationInfo{State: "override", Reason: "out-of-range", Expires: now + 7300, Functions: units("switching", "")},
			"the reader is out of range; an administrator has the functions on for 2 h", "Units       just being switched\n"},
		{busapi.AuthorizationInfo{State: "disabled", Reason: "boot", Functions: units("failed", "not running\x1b")},
			"no card has proven anything since the boot; functions are off", "Units       cannot be switched: not running\\x1b\nLast proof  never\n"},
		{busapi.AuthorizationInfo{State: "disabled", Reason: "solar\x1b-flare", Functions: []busapi.FunctionInfo{{Function: "sessions", State: "disabled"}}},
			"solar\\x1b-flare; functions are off", "Screens     locked\n"},
	} {
		w := newWorld(t)
		w.device.Set(func(v *bustest.DeviceValues) { v.Rights, v.State.Authorization = c.info, &c.info })
		if r := w.runAt(now, "authorization"); r.code != 0 || !strings.Contains(r.out, c.line+"\n") || !strings.Contains(r.out, c.rest) {
			t.Errorf("got\n%s%swant\n%s\n%s", r.out, r.err, c.line, c.rest)
		}
		if r := w.runAt(now, "status"); !strings.Contains(r.out, "Authorization  "+c.line+"\n") {
			t.Errorf("the status says\n%s", r.out)
		}
	}
}

// What governs nothing is not spoken of unless somebody asks.
func TestAuthorizationIsOff(t *testing.T) {
	w := newWorld(t)
	off := busapi.AuthorizationInfo{State: "off", Functions: []busapi.FunctionInfo{}}
	w.device.Set(func(v *bustest.DeviceValues) { v.Rights, v.State.Authorization = off, &off })
	if r := w.run("authorization"); r.out != "Card  governs nothing\n" {
		t.Errorf("got\n%s", r.out)
	}
	if r := w.run("status"); strings.Contains(r.out, "Authorization") {
		t.Errorf("the status says\n%s", r.out)
	}
}
