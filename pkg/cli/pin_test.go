package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
)

// secretFile writes a code where a flag can name it.
func secretFile(t *testing.T, code string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(name, []byte(code+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestPINCommands runs each command with codes from standard input and from files,
// on cards whose PIN stands in different ways.
func TestPINCommands(t *testing.T) {
	old, next, puk := secretFile(t, "123456"), secretFile(t, "654321"), secretFile(t, "87654321")
	for _, c := range []struct {
		name, state string
		tries       int64
		stdin       string
		args        []string
		code        int
		says, call  string
	}{
		{"change", "set", 3, "123456\n654321\n", []string{"change"}, 0, "(3 tries left)", "CardChangePIN {PIN:123456 New:654321 PUK:}"},
		{"change by files", "set", 3, "", []string{"change", "--no-input", "--pin-file", old, "--new-pin-file", next}, 0, "new PIN", "CardChangePIN {PIN:123456 New:654321 PUK:}"},
		{"change, silent card", "unknown", -1, "123456\n654321\n", []string{"change"}, 0, "does not say how many", "CardChangePIN {PIN:123456 New:654321 PUK:}"},
		{"change, no input", "set", 3, "123456\n", []string{"change", "--no-input"}, 2, "--pin-file is missing", ""},
		{"change, half input", "set", 3, "", []string{"change", "--no-input", "--pin-file", old}, 2, "--new-pin-file is missing", ""},
		{"change, nothing entered", "set", 3, "\n", []string{"change"}, 10, "no PIN was entered", ""},
		{"change, no file", "set", 3, "", []string{"change", "--pin-file", "/none/pin"}, 1, "cannot read the PIN", ""},
		{"last try, yes", "set", 1, "y\n123456\n654321\n", []string{"change"}, 0, "One try is left", "CardChangePIN {PIN:123456 New:654321 PUK:}"},
		{"last try, no", "set", 1, "n\n123456\n654321\n", []string{"change"}, 10, "One try is left", ""},
		{"last try, no input", "set", 1, "", []string{"change", "--no-input", "--pin-file", old, "--new-pin-file", next}, 2, "one try is left", ""},
		{"last try, sure", "set", 1, "", []string{"change", "--no-input", "--yes", "--pin-file", old, "--new-pin-file", next}, 0, "", "CardChangePIN {PIN:123456 New:654321 PUK:}"},
		{"change, blocked", "blocked", 0, "123456\n654321\n", []string{"change"}, 6, "scrctl card pin set", ""},
		{"change, none", "none", -1, "123456\n654321\n", []string{"change"}, 9, "it has no PIN", ""},
		{"clear", "set", 2, "123456\n", []string{"clear"}, 0, "does not ask for its PIN", "CardClearPIN {PIN:123456 New: PUK:}"},
		{"set", "none", -1, "654321\n", []string{"set"}, 0, "New PIN: ", "CardSetPIN {PIN: New:654321 PUK:}"},
		{"set, blocked", "blocked", 0, "87654321\n654321\n", []string{"set"}, 0, "The card's PUK: ", "CardSetPIN {PIN: New:654321 PUK:87654321}"},
		{"set, forgotten", "set", 2, "", []string{"set", "--no-input", "--puk-file", puk, "--new-pin-file", next}, 0, "", "CardSetPIN {PIN: New:654321 PUK:87654321}"},
		{"set, unknown", "unknown", -1, "654321\n", []string{"set"}, 0, "", "CardSetPIN {PIN: New:654321 PUK:}"},
		{"set, no input", "set", 3, "", []string{"set", "--no-input", "--new-pin-file", next}, 2, "--puk-file is missing", ""},
		{"on the command line", "set", 3, "", []string{"change", "123456"}, 2, "unknown command", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.reader.Set(func(v *bustest.ReaderValues) { v.PIN = busapi.PINInfo{PIN: c.state, Tries: c.tries} })
			r := runOn(w.bus, c.stdin, append([]string{"card", "pin"}, c.args...)...)
			if r.code != c.code || !strings.Contains(r.out+r.err, c.says) {
				t.Errorf("got %+v", r)
			}
			calls := slices.DeleteFunc(w.reader.Calls(), func(call string) bool { return call == "CardPIN" })
			if got := strings.Join(calls, ","); got != c.call {
				t.Errorf("calls %q, want %q", got, c.call)
			}
			for _, code := range []string{"654321", "87654321"} {
				if strings.Contains(r.out+r.err, code) {
					t.Errorf("a code is printed: %+v", r)
				}
			}
		})
	}
}

func TestPINErrors(t *testing.T) {
	w := newWorld(t)
	w.reader.Set(func(v *bustest.ReaderValues) { v.PIN = busapi.PINInfo{PIN: "set", Tries: 3} })
	for _, c := range []struct {
		err  error
		code int
		name string
	}{
		{busapi.ErrWrongPIN, 5, "WrongPin"},
		{busapi.ErrPINBlocked, 6, "PinBlocked"},
		{busapi.ErrCard, 9, "Card"},
		{busapi.ErrInvalidArguments, 2, "InvalidArguments"},
	} {
		w.reader.Fail("CardChangePIN", fmt.Errorf("it went wrong: %w", c.err))
		r := runOn(w.bus, "123456\n654321\n", "card", "pin", "change", "--json")
		if r.code != c.code || !strings.Contains(r.out, fmt.Sprintf("%q: %q", "name", c.name)) {
			t.Errorf("%v: got %+v", c.err, r)
		}
	}
}

// TestNewPINTwice has a person at a terminal enter a new PIN twice.
func TestNewPINTwice(t *testing.T) {
	for again, code := range map[string]int{"654321": 0, "654322": 2} {
		w, x := newWorld(t), newTerminal(t)
		w.reader.Set(func(v *bustest.ReaderValues) { v.PIN = busapi.PINInfo{PIN: "set", Tries: 3} })
		ended, out := x.start(t.Context(), w.bus.Env, "card", "pin", "change")
		for _, step := range [][2]string{{"(3 tries left): ", "123456"}, {"New PIN: ", "654321"}, {"New PIN again: ", again}} {
			x.when(step[0], 1)
			bustest.Until(t, "echo off", func() bool { return !x.echo() })
			x.enter(step[1])
		}
		if got := bustest.Wait(t, ended, "the end"); got != code {
			t.Errorf("exit code %d, want %d", got, code)
		}
		if strings.Contains(x.screen()+out.String(), "654321") {
			t.Errorf("a PIN was on the screen: %q", x.screen())
		}
	}
}

func TestCardLine(t *testing.T) {
	for want, c := range map[string]busapi.CardInfo{
		"ok, piv, PIN with 3 tries left, card key": {State: "ok", Profile: "piv", PIN: "set", PINTries: 3, CardKey: true},
		"ok, piv, PIN with 1 try left":             {State: "ok", Profile: "piv", PIN: "set", PINTries: 1},
		"blank, piv, PIN blocked":                  {State: "blank", Profile: "piv", PIN: "blocked"},
		"ok, file":                                 {State: "ok", Profile: "file", PINTries: -1},
		"ok, iso7816, PIN unknown":                 {State: "ok", Profile: "iso7816", PIN: "unknown", PINTries: -1},
	} {
		if got := cardLine(&printer{}, c); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// asksForPIN is a device that needs the card's PIN, of which there are so many
// tries.
func (w *world) asksForPIN(method, right string, tries int64) {
	w.device.On(method, func(ctx context.Context, p busapi.Prompter) error {
		for left := tries; left != 0; left-- {
			pin, err := p.CardPIN(ctx, "pi", left, left < tries)
			if err != nil {
				return err
			}
			if pin == right {
				return nil
			}
		}
		return busapi.ErrPINBlocked
	})
}

// TestPINOfTheReader enters the PIN that the device asks for.
func TestPINOfTheReader(t *testing.T) {
	right, wrong := secretFile(t, "123456"), secretFile(t, "654321")
	for _, c := range []struct {
		name, stdin string
		args        []string
		code        int
		says        string
		tries       int64
	}{
		{"file", "", []string{"--pin-file", right, "--no-input"}, 0, "", 3},
		{"pipe", "123456\n", nil, 0, "PIN of the card in pi (3 tries left): ", 3},
		{"wrong file", "", []string{"--pin-file", wrong}, 5, "2 tries left", 3},
		{"wrong pipe", "654321\n123456\n", nil, 5, "2 tries left", 3},
		{"nothing", "", []string{"--no-input"}, 2, "--pin-file is missing", 3},
		{"empty line", "\n", nil, 10, "no PIN was entered", 3},
		{"last try, file", "", []string{"--pin-file", right, "--no-input"}, 2, "one try is left, and --last-try is missing", 1},
		{"last try, file, sure", "", []string{"--pin-file", right, "--no-input", "--last-try"}, 0, "", 1},
		{"last try, file, no", "n\n", []string{"--pin-file", right}, 10, "One try is left", 1},
		{"last try, pipe, yes", "y\n123456\n", nil, 0, "(1 try left): ", 1},
		{"last try, pipe, no", "n\n123456\n", nil, 10, "One try is left", 1},
		{"silent card", "123456\n", nil, 0, "does not say how many tries are left", -1},
	} {
		for method, command := range map[string][]string{
			"Reprovision": {"reprovision", "--yes"}, "SetPasscode": {"passcode", "set", "--card-pin"},
		} {
			t.Run(method+"/"+c.name, func(t *testing.T) {
				w := newWorld(t)
				w.asksForPIN(method, "123456", c.tries)
				r := runOn(w.bus, c.stdin, append(command, c.args...)...)
				if r.code != c.code || !strings.Contains(r.err, c.says) {
					t.Errorf("got %+v", r)
				}
				if strings.Contains(r.out+r.err, "123456") || strings.Contains(r.out+r.err, "654321") {
					t.Errorf("a PIN is printed: %+v", r)
				}
			})
		}
	}
	w := newWorld(t)
	if r := w.run("passcode", "set", "--pin-file", wrong); r.code != 2 || !strings.Contains(r.err, "--pin-file is for --card-pin") {
		t.Errorf("got %+v", r)
	}
	if r := w.run("passcode", "set", "--card-pin", "--passcode-file", wrong); r.code != 2 {
		t.Errorf("got %+v", r)
	}
}

// TestPINAgainAtATerminal lets a person try once more.
func TestPINAgainAtATerminal(t *testing.T) {
	w, x := newWorld(t), newTerminal(t)
	w.asksForPIN("Reprovision", "123456", 3)
	ended, _ := x.start(t.Context(), w.bus.Env, "reprovision", "--yes")
	for i, pin := range []string{"654321", "123456"} {
		x.when(fmt.Sprintf("PIN of the card in pi (%d tries left): ", 3-i), 1)
		bustest.Until(t, "echo off", func() bool { return !x.echo() })
		x.enter(pin)
	}
	if code := bustest.Wait(t, ended, "the end"); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(x.screen(), "That PIN was wrong, 2 tries left.") || strings.Contains(x.screen(), "123456") {
		t.Errorf("the screen shows %q", x.screen())
	}
}
