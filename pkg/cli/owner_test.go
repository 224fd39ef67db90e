package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reprovision/reprovision/pkg/busapi"
)

// pairAsking is a device that asks for passcodes until one is right.
func (w *world) pairAsking(right string, tries int) {
	w.device.On("Pair", func(ctx context.Context, p busapi.Prompter) error {
		for try := range tries {
			code, err := p.PairingPasscode(ctx, "pi", try > 0)
			if err != nil {
				return err
			}
			if code == right {
				return nil
			}
		}
		return busapi.ErrLockedOut
	})
}

func TestPasscodeComesFrom(t *testing.T) {
	w := newWorld(t)
	w.pairAsking("123456", 9)
	file := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(file, []byte("123 456\nrest\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, stdin string
		args        []string
		code        int
		says        string
	}{
		{"flag", "", []string{"--passcode", "123456"}, 0, "Paired with pi"},
		{"flag, no input", "", []string{"--passcode", "123456", "--no-input"}, 0, "Paired with pi"},
		{"file", "", []string{"--passcode-file", file, "--no-input"}, 0, "Paired with pi"},
		{"pipe", "123456\n", nil, 0, "Paired with pi"},
		{"pipe, spaces, no line end", " 123 456", nil, 0, "Paired with pi"},
		{"quiet", "123456\n", []string{"--quiet"}, 0, ""},
		{"wrong flag", "", []string{"--passcode", "1"}, 5, "wrong passcode"},
		{"wrong pipe", "1\n123456\n", nil, 5, "wrong passcode"},
		{"wrong, no input", "", []string{"--passcode", "1", "--no-input"}, 5, "wrong passcode"},
		{"nothing, no input", "123456\n", []string{"--no-input"}, 2, "--passcode-file or --passcode is missing"},
		{"empty pipe", "", nil, 2, "the input is at its end"},
		{"empty line", "\n", nil, 10, "declined"},
		{"long line", strings.Repeat("1", 5000), nil, 2, "more than 4096 bytes"},
		{"long passcode", strings.Repeat("1", 100), nil, 2, "longer than 64 bytes"},
		{"no file", "", []string{"--passcode-file", "/none/code"}, 1, "cannot read the passcode"},
		{"empty file", "", []string{"--passcode-file", "/dev/null"}, 2, "first line of /dev/null"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := runOn(w.bus, c.stdin, append([]string{"pair", address}, c.args...)...)
			if r.code != c.code || !strings.Contains(r.out+r.err, c.says) {
				t.Errorf("got %+v", r)
			}
			if c.name == "quiet" && r.out != "" {
				t.Errorf("--quiet says %q", r.out)
			}
			if strings.Contains(r.out+r.err, "123456") {
				t.Error("the passcode is printed")
			}
		})
	}
}

// pairUntilStopped is a device whose pairing window closes during the prompt,
// when stopPairing is called.
func (w *world) pairUntilStopped() {
	w.device.On("Pair", func(ctx context.Context, p busapi.Prompter) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() { <-w.stopped; cancel() }()
		if _, err := p.PairingPasscode(ctx, "pi", false); err == nil {
			return errors.New("there was an answer")
		}
		return busapi.ErrPairingClosed
	})
}

func (w *world) stopPairing() { close(w.stopped) }

// confirming is a device that asks before it restores, and finds what the owner says.
func (w *world) confirming(summary busapi.ReprovisionResult) {
	w.device.On("Reprovision", func(ctx context.Context, p busapi.Prompter) error {
		yes, err := p.ConfirmReprovision(ctx, summary)
		if err == nil && !yes {
			return fmt.Errorf("cannot go on: %w", busapi.ErrDeclined)
		}
		return err
	})
}

func TestConfirmReprovision(t *testing.T) {
	w := newWorld(t)
	summary := busapi.ReprovisionResult{Snapshot: "s2", Planned: 20, Quarantined: 1, Kept: []busapi.Finding{{}},
		Items: make([]busapi.Finding, 20)}
	for i := range summary.Items {
		summary.Items[i] = busapi.Finding{Path: fmt.Sprintf("/k/%d\x1b[2J", i), Class: "keys", Verdict: "erased"}
	}
	w.confirming(summary)
	for _, c := range []struct {
		name, stdin string
		args        []string
		code        int
		says        string
	}{
		{"yes", "y\n", nil, 0, "Go on? [y/N]"},
		{"YES", "YES\n", nil, 0, "20 items:"},
		{"no", "n\n", nil, 10, "declined"},
		{"Enter", "\n", nil, 10, "declined"},
		{"nothing there", "", nil, 2, "the input is at its end"},
		{"no input", "y\n", []string{"--no-input"}, 2, "--yes is missing"},
		{"list", "n\n", nil, 10, "  erased       keys           /k/11\\x1b[2J\n  and 8 more\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := runOn(w.bus, c.stdin, append([]string{"reprovision"}, c.args...)...)
			if r.code != c.code || !strings.Contains(r.err, c.says) {
				t.Errorf("got %+v", r)
			}
			if strings.Contains(r.err, "\x1b") {
				t.Error("a control character is printed")
			}
		})
	}
}
