package cli

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
)

func TestEveryErrorHasItsExitCode(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		err  error
		code int
		name string
	}{
		{busapi.ErrFailed, 1, "Failed"},
		{busapi.ErrInvalidArguments, 2, "InvalidArguments"},
		{busapi.ErrInputNeeded, 2, "InputNeeded"},
		{busapi.ErrNotPaired, 3, "NotPaired"},
		{busapi.ErrOutOfRange, 4, "OutOfRange"},
		{busapi.ErrWrongPasscode, 5, "WrongPasscode"},
		{busapi.ErrLockedOut, 6, "LockedOut"},
		{busapi.ErrNoData, 7, "NoData"},
		{busapi.ErrPartial, 8, "Partial"},
		{busapi.ErrCard, 9, "Card"},
		{busapi.ErrDeclined, 10, "Declined"},
		{busapi.ErrNotAllowed, 11, "NotAllowed"},
		{busapi.ErrPairingClosed, 1, "PairingClosed"},
		{busapi.ErrBusy, 1, "Busy"},
		{busapi.ErrCanceled, 1, "Canceled"},
	} {
		w.device.Fail("Backup", fmt.Errorf("it went \x1b wrong: %w", c.err))
		r := w.run("backup", "--json")
		if r.code != c.code {
			t.Errorf("%v: exit code %d, want %d", c.err, r.code, c.code)
		}
		doc := document(t, r.out)
		want := map[string]any{"error": map[string]any{
			"code": float64(c.code), "name": c.name, "message": `it went \x1b wrong: ` + c.err.Error(),
		}}
		if diff := cmp.Diff(want, doc); diff != "" {
			t.Errorf("%v: %s", c.err, diff)
		}
		first, _, _ := strings.Cut(r.err, "\n")
		if want := `scrctl: cannot back up: it went \x1b wrong: ` + c.err.Error(); first != want {
			t.Errorf("got %q, want %q", first, want)
		}
	}
}

func TestAdvice(t *testing.T) {
	w := newWorld(t)
	w.device.Fail("Pair", fmt.Errorf("cannot go on: %w", busapi.ErrPairingClosed))
	r := w.run("pair", address, "--passcode", "1")
	want := "scrctl: cannot go on: the reader's pairing window is closed\n" +
		"Press the reader's button (scrctl reader press), then run the command again while it shows its address.\n"
	if r.code != 1 || r.err != want || r.out != "" {
		t.Errorf("got %+v", r)
	}
}

func TestNotRunning(t *testing.T) {
	bus := bustest.Start(t)
	for _, c := range []struct{ command, unit string }{
		{"status", "reprovisiond"}, {"backup", "reprovisiond"}, {"reader status", "scrd"}, {"card verify", "scrd"},
	} {
		r := runOn(bus, "", strings.Fields(c.command)...)
		if r.code != 12 || !strings.Contains(r.err, "systemctl start "+c.unit+"\n") || r.out != "" {
			t.Errorf("%s: %+v", c.command, r)
		}
	}
	nowhere := &bustest.Bus{Address: "unix:path=" + t.TempDir() + "/none"}
	for _, command := range []string{"status", "backup", "monitor", "card status"} {
		if r := runOn(nowhere, "", strings.Fields(command)...); r.code != 12 {
			t.Errorf("%s without a bus: %+v", command, r)
		}
	}
}

// A daemon that is killed during a call is one that is not running.
func TestDaemonThatIsLost(t *testing.T) {
	bus := bustest.Start(t)
	backend := &bustest.Device{}
	conn := bus.Connect(t)
	backend.On("Backup", func(ctx context.Context, _ busapi.Prompter) error { conn.Close(); <-ctx.Done(); return ctx.Err() })
	d := busapi.NewDevice(conn, backend, bustest.Quiet())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(context.Background()) }()
	bustest.Wait(t, d.Ready(), "ready")
	if r := runOn(bus, "", "backup"); r.code != 12 {
		t.Errorf("got %+v", r)
	}
	bustest.Wait(t, ended, "the end of Run")
}

func TestUsageErrors(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"nothing", `unknown command "nothing" for "scrctl"`},
		{"statsu", `unknown command "statsu" for "scrctl" (did you mean "status"?)`},
		{"reader", "scrctl reader: a command is missing"},
		{"reader prss", `unknown command "prss" for "scrctl reader" (did you mean "press"?)`},
		{"card pins", `unknown command "pins" for "scrctl card"`},
		{"card pin", "scrctl card pin: a command is missing"},
		{"backup --ful", "unknown flag: --ful"},
		{"backup -z", "unknown shorthand flag: 'z' in -z"},
		{"backup now", `unknown command "now" for "scrctl backup"`},
		{"pair", "accepts 1 arg(s), received 0"},
		{"pair " + address + " --passcode 1 --passcode-file /f", "none of the others can be"},
		{"pair here", "is not a device address"},
		{"pair 00:1A:7D:DA:71", "is not a device address"},
		{"snapshots a b", "accepts at most 1 arg(s), received 2"},
		{"forget", "requires at least 1 arg(s)"},
		{"reprovision --class mail", `unknown class "mail"`},
		{"completion tcsh", `unknown command "tcsh" for "scrctl completion"`},
	} {
		for _, flag := range []string{"", " --json"} {
			r := runOn(nil, "", strings.Fields(c.args+flag)...)
			lines := strings.Split(r.err, "\n")
			if r.code != 2 || !strings.Contains(lines[0], c.want) || len(lines) != 3 || !strings.Contains(lines[1], "--help") {
				t.Errorf("%s: exit code %d, %q", c.args, r.code, r.err)
			}
			if flag == "" && r.out != "" {
				t.Errorf("%s: output %q", c.args, r.out)
			}
			if flag != "" {
				if e, _ := document(t, r.out)["error"].(map[string]any); e["name"] != "Usage" || e["code"] != 2.0 {
					t.Errorf("%s: %q", c.args, r.out)
				}
			}
		}
	}
}

func TestHelpAndCompletion(t *testing.T) {
	for args, want := range map[string]string{
		"": "reprovision", "--help": "Usage:", "reader --help": "press", "help card": "verify",
		"completion bash": "__start_scrctl", "completion zsh": "#compdef scrctl", "completion fish": "complete -c scrctl",
	} {
		if r := runOn(nil, "", strings.Fields(args)...); r.code != 0 || !strings.Contains(r.out, want) || r.err != "" {
			t.Errorf("%q: exit code %d, %q, %q", args, r.code, r.err, r.out)
		}
	}
}
