package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
)

// attending runs scrctl agent at a terminal until the test ends.
func attending(t *testing.T, w *world) (x *terminal, stop func() int) {
	t.Helper()
	x = newTerminal(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended, _ := x.start(ctx, w.bus.Env, "agent")
	x.when("answering what this device asks its owner", 1)
	return x, func() int {
		cancel()
		return bustest.Wait(t, ended, "the end of the agent")
	}
}

// asked puts a question to the agent.
func asked[T any](ask func() (T, error)) <-chan string {
	done := make(chan string, 1)
	go func() {
		got, err := ask()
		done <- fmt.Sprintf("%+v %v", got, err)
	}()
	return done
}

func TestAgentAtATerminal(t *testing.T) {
	w := newWorld(t)
	x, stop := attending(t, w)
	p, ctx := w.object.Prompter(), t.Context()
	hidden := func(prompt, text string) {
		t.Helper()
		x.when(prompt, 1)
		bustest.Until(t, "echo off", func() bool { return !x.echo() })
		x.enter(text)
	}
	for _, c := range []struct {
		name, want string
		done       func() <-chan string
		person     func()
	}{
		{"pairing passcode", "123456 <nil>", func() <-chan string {
			return asked(func() (string, error) { return p.PairingPasscode(ctx, "pi", true) })
		}, func() { x.when("That passcode was wrong.", 1); hidden("on the reader's display: ", "123 456") }},
		{"PIN", "7777 <nil>", func() <-chan string {
			return asked(func() (string, error) { return p.CardPIN(ctx, "pi", 2, true) })
		}, func() {
			x.when("That PIN was wrong, 2 tries left.", 1)
			hidden("PIN of the card in pi (2 tries left): ", "7777")
		}},
		{"passcode", "opensesame <nil>", func() <-chan string {
			return asked(func() (string, error) { return p.Passcode(ctx, "old phone", 1, true) })
		}, func() {
			x.when("That passcode was wrong, 1 try left.", 1)
			hidden("for the data of old phone: ", "opensesame")
		}},
		{"new passcode", "long enough <nil>", func() <-chan string {
			return asked(func() (string, error) { return p.NewPasscode(ctx, false) })
		}, func() {
			hidden("New passcode for restoring: ", "long enough")
			hidden("The same once more: ", "long enough")
		}},
		{"restore", "true <nil>", func() <-chan string {
			return asked(func() (bool, error) {
				return p.ConfirmReprovision(ctx, busapi.ReprovisionResult{Snapshot: "s2", Planned: 2, Quarantined: 1, Items: []busapi.Finding{{Path: "/a"}}})
			})
		}, func() {
			x.when("Snapshot s2 brings back 2 items", 1)
			x.when("kept in the quarantine: 1 item", 1)
			x.when("Go on? [y/N] ", 1)
			x.enter("y")
		}},
		{"automatic backup", "{Every:604800 Mode:incremental} <nil>", func() <-chan string {
			return asked(func() (busapi.AutoBackupSettings, error) {
				return p.AutoBackup(ctx, busapi.AutoBackupQuestion{Reader: "pi", Every: 86400, Mode: "incremental"})
			})
		}, func() {
			x.when("24 h is proposed) ", 1)
			x.enter("often")
			x.when("24 h is proposed) ", 2)
			x.enter("7d")
		}},
		{"pairing", address + " <nil>", func() <-chan string {
			return asked(func() (string, error) { return p.Pairing(ctx, busapi.PairingQuestion{Overdue: true}) })
		}, func() {
			x.when("A backup is OVERDUE", 1)
			x.when("The address that it shows", 1)
			x.enter("00")
			x.when("The address that it shows", 2)
			x.enter("00-1a-7d-da-71-13")
		}},
	} {
		done := c.done()
		c.person()
		if got := bustest.Wait(t, done, c.name); got != c.want {
			t.Errorf("%s: got %q", c.name, got)
		}
	}
	w.object.Notify(busapi.Notice{Kind: "overdue", Level: busapi.NoticeWarning, Text: "The backup is overdue\x1b."})
	x.when("The backup is overdue\\x1b.", 1)
	if code := stop(); code != 0 || !x.echo() {
		t.Errorf("the agent ended with %d, echo %v", code, x.echo())
	}
	if strings.Contains(x.screen(), "opensesame") {
		t.Error("a passcode is on the screen")
	}
}

// What was typed for a question that is moot by now does not answer the next one.
func TestAgentForgetsWhatWasTypedBefore(t *testing.T) {
	w := newWorld(t)
	x, stop := attending(t, w)
	defer stop()
	ctx, cancel := context.WithCancel(t.Context())
	first := asked(func() (bool, error) {
		return w.object.Prompter().ConfirmReprovision(ctx, busapi.ReprovisionResult{Planned: 1})
	})
	x.when("Go on? [y/N] ", 1)
	cancel()
	if got := bustest.Wait(t, first, "the end"); !strings.Contains(got, "canceled") {
		t.Errorf("got %q", got)
	}
	x.when("(not needed any more)", 1)
	x.enter("y")
	x.when("y\r\n", 1)
	second := asked(func() (bool, error) {
		return w.object.Prompter().ConfirmReprovision(t.Context(), busapi.ReprovisionResult{Planned: 1})
	})
	x.when("Go on? [y/N] ", 2)
	x.enter("n")
	if got := bustest.Wait(t, second, "the answer"); got != "false <nil>" {
		t.Errorf("got %q", got)
	}
}

// A question that was taken back is gone before the next one reads an answer.
func TestAgentAsksOneAfterTheOther(t *testing.T) {
	w := newWorld(t)
	x, stop := attending(t, w)
	defer stop()
	for i := range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		first := asked(func() (string, error) { return w.object.Prompter().Pairing(ctx, busapi.PairingQuestion{}) })
		x.when("The address that it shows", i+1)
		cancel()
		bustest.Wait(t, first, "the end")
		second := asked(func() (bool, error) {
			return w.object.Prompter().ConfirmReprovision(t.Context(), busapi.ReprovisionResult{Planned: 1})
		})
		x.when("Go on? [y/N] ", i+1)
		x.enter("y")
		if got := bustest.Wait(t, second, "the answer"); got != "true <nil>" {
			t.Fatalf("got %q", got)
		}
	}
}

// "Not now", and an end of the input, are no answers.
func TestAgentWithoutAnAnswer(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	in, person := io.Pipe()
	notes, out := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- Main(ctx, []string{"agent"}, Stdio{In: in, Out: io.Discard, Err: out}, w.bus.Env)
		out.Close()
	}()
	lines := bufio.NewReader(notes)
	if line := next(t, lines); !strings.Contains(line, "answering") {
		t.Fatalf("got %q", line)
	}
	go io.Copy(io.Discard, lines)
	p := w.object.Prompter()
	go fmt.Fprint(person, "\n\n123")
	if _, err := p.AutoBackup(t.Context(), busapi.AutoBackupQuestion{}); !errors.Is(err, busapi.ErrDeclined) {
		t.Errorf("got %v", err)
	}
	if _, err := p.Pairing(t.Context(), busapi.PairingQuestion{}); !errors.Is(err, busapi.ErrDeclined) {
		t.Errorf("got %v", err)
	}
	person.Close()
	if code, err := p.PairingPasscode(t.Context(), "pi", false); err != nil || code != "123" {
		t.Errorf("the last line without an end gave %q, %v", code, err)
	}
	if _, err := w.pairAs(t); !errors.Is(err, busapi.ErrInputNeeded) {
		t.Errorf("at the end of the input: %v", err)
	}
	cancel()
	if code := bustest.Wait(t, ended, "the end of the agent"); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// pairAs has a program without an agent pair.
func (w *world) pairAs(t *testing.T) (busapi.PeerInfo, error) {
	t.Helper()
	w.pairAsking("123456", 1)
	c, err := busapi.DialDevice(t.Context(), w.bus.Env, false)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.Pair(t.Context(), address)
}

func TestAgentNeedsInput(t *testing.T) {
	w := newWorld(t)
	if r := w.run("agent", "--no-input"); r.code != 2 {
		t.Errorf("got %+v", r)
	}
	if r := w.run("agent", "--desktop"); r.code != 12 || !strings.Contains(r.err, "session bus") {
		t.Errorf("without a session: %+v", r)
	}
	if r := runOn(nil, "", "agent"); r.code != 12 {
		t.Errorf("without a bus: %+v", r)
	}
}

// A command's own agent leaves the daemon's questions to those who attend to them.
func TestCommandIsNoAttendant(t *testing.T) {
	w := newWorld(t)
	w.device.On("Pair", func(ctx context.Context, p busapi.Prompter) error {
		if _, err := p.AutoBackup(ctx, busapi.AutoBackupQuestion{}); !errors.Is(err, busapi.ErrInputNeeded) {
			t.Errorf("the automatic backup: %v", err)
		}
		_, err := p.Pairing(ctx, busapi.PairingQuestion{})
		return err
	})
	if r := w.run("pair", address, "--passcode", "1"); r.code != 2 {
		t.Errorf("got %+v", r)
	}
}

func TestQuestionsInTheStatus(t *testing.T) {
	w := newWorld(t)
	w.device.Set(func(v *bustest.DeviceValues) {
		v.State.Questions = []busapi.QuestionInfo{{Kind: "autobackup", Waited: 7200}, {Kind: "reprovision", Waited: 61, Agent: true}, {Kind: "new\x1b", Waited: 1}}
	})
	out := w.run("status").out
	for _, line := range []string{
		"Question     when to back up, and nobody is there to ask (scrctl agent); open for 2 h\n",
		"Question     whether to restore, asked by an agent; open for 1 min\n",
		`Question     new\x1b, and nobody`,
	} {
		if !strings.Contains(out, line) {
			t.Errorf("%q is missing in\n%s", line, out)
		}
	}
}

// The desktop's agent is one like others: here it has a pinentry, and no notifications.
func TestDesktopAgent(t *testing.T) {
	w := newWorld(t)
	pinentry := filepath.Join(t.TempDir(), "pinentry")
	script := "#!/bin/sh\necho OK\nwhile read -r line; do case $line in GETPIN) printf 'D 123456\\nOK\\n' ;; *) echo OK ;; esac; done\n"
	if err := os.WriteFile(pinentry, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	env := func(name string) string {
		if name == "DBUS_SESSION_BUS_ADDRESS" {
			return w.bus.Address
		}
		return w.bus.Env(name)
	}
	notes, out := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- Main(ctx, []string{"agent", "--desktop", "--pinentry", pinentry}, Stdio{In: strings.NewReader(""), Out: io.Discard, Err: out}, env)
	}()
	if line := next(t, bufio.NewReader(notes)); !strings.Contains(line, "answering") {
		t.Fatalf("got %q", line)
	}
	go io.Copy(io.Discard, notes)
	if _, err := w.pairAs(t); err != nil {
		t.Errorf("the passcode did not arrive: %v", err)
	}
	if yes, err := w.object.Prompter().ConfirmReprovision(t.Context(), busapi.ReprovisionResult{}); !yes || err != nil {
		t.Errorf("the yes did not arrive: %v", err)
	}
	cancel()
	if code := bustest.Wait(t, ended, "the end of the agent"); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
