package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
)

// terminal is a real pseudo-terminal with a person at it.
type terminal struct {
	t      *testing.T
	person *os.File // what the person types goes in here, what they see comes out
	tty    *os.File // the program's end
	mu     sync.Mutex
	seen   strings.Builder
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	x := &terminal{t: t, person: person, tty: tty}
	go x.watch()
	t.Cleanup(func() { tty.Close(); person.Close() })
	return x
}

func (x *terminal) watch() {
	buf := make([]byte, 4096)
	for {
		n, err := x.person.Read(buf)
		x.mu.Lock()
		x.seen.Write(buf[:n])
		x.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (x *terminal) screen() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.seen.String()
}

// when waits until something was on the screen so many times.
func (x *terminal) when(text string, times int) {
	x.t.Helper()
	bustest.Until(x.t, fmt.Sprintf("%q on the screen", text), func() bool { return strings.Count(x.screen(), text) == times })
}

// echo tells whether the terminal shows what is typed.
func (x *terminal) echo() bool {
	x.t.Helper()
	state, err := unix.IoctlGetTermios(int(x.tty.Fd()), unix.TCGETS)
	if err != nil {
		x.t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

func (x *terminal) enter(text string) {
	x.t.Helper()
	if _, err := x.person.WriteString(text + "\n"); err != nil {
		x.t.Fatal(err)
	}
}

// start runs a command with standard input and errors on the terminal.
func (x *terminal) start(ctx context.Context, env func(string) string, args ...string) (code <-chan int, out *bytes.Buffer) {
	ended, out := make(chan int, 1), new(bytes.Buffer)
	go func() { ended <- Main(ctx, args, Stdio{In: x.tty, Out: out, Err: x.tty}, env) }()
	return ended, out
}

// typed enters a secret once the terminal no longer shows what is typed.
func (x *terminal) typed(secret string, prompt int) {
	x.t.Helper()
	x.when("Passcode shown on the reader's display: ", prompt)
	bustest.Until(x.t, "echo off", func() bool { return !x.echo() })
	x.enter(secret)
}

func TestPasscodeAtATerminal(t *testing.T) {
	for _, c := range []struct {
		name  string
		types []string
		code  int
	}{
		{"right", []string{"123456"}, 0},
		{"third time right", []string{"1111", "2222", "123 456"}, 0},
		{"three times wrong", []string{"1111", "2222", "3333"}, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, x := newWorld(t), newTerminal(t)
			w.pairAsking("123456", 9)
			ended, out := x.start(t.Context(), w.bus.Env, "pair", address)
			for i, secret := range c.types {
				x.typed(secret, i+1)
			}
			if code := bustest.Wait(t, ended, "the end"); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			for _, secret := range c.types {
				if strings.Contains(x.screen()+out.String(), secret) {
					t.Errorf("%q was on the screen: %q", secret, x.screen())
				}
			}
			if !x.echo() {
				t.Error("the terminal stays without echo")
			}
		})
	}
}

// Whatever ends the prompt, the terminal is as it was before.
func TestPromptThatIsCanceled(t *testing.T) {
	for name, end := range map[string]func(cancel func(), w *world){
		"interrupted": func(cancel func(), _ *world) { cancel() },
		"daemon":      func(_ func(), w *world) { w.object.Refresh(); w.stopPairing() },
	} {
		t.Run(name, func(t *testing.T) {
			w, x := newWorld(t), newTerminal(t)
			w.pairUntilStopped()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended, _ := x.start(ctx, w.bus.Env, "pair", address)
			x.when("Passcode shown on the reader's display: ", 1)
			bustest.Until(t, "echo off", func() bool { return !x.echo() })
			end(cancel, w)
			if code := bustest.Wait(t, ended, "the end"); code != 1 {
				t.Errorf("exit code %d", code)
			}
			if !x.echo() {
				t.Error("the terminal stays without echo")
			}
		})
	}
}

func TestConfirmAtATerminal(t *testing.T) {
	w, x := newWorld(t), newTerminal(t)
	w.confirming(busapi.ReprovisionResult{Snapshot: "s2", Planned: 1})
	ended, _ := x.start(t.Context(), w.bus.Env, "reprovision")
	x.when("Go on? [y/N] ", 1)
	x.enter("y")
	if code := bustest.Wait(t, ended, "the end"); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestColorsOnATerminalOnly(t *testing.T) {
	w := newWorld(t)
	w.device.Set(func(v *bustest.DeviceValues) { v.Found.Items = []busapi.Finding{{Path: "/a", Verdict: "erased"}} })
	for name, c := range map[string]struct {
		env  map[string]string
		want bool
	}{
		"terminal": {nil, true}, "NO_COLOR": {map[string]string{"NO_COLOR": "1"}, false}, "dumb": {map[string]string{"TERM": "dumb"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			x := newTerminal(t)
			if _, err := term.MakeRaw(int(x.tty.Fd())); err != nil {
				t.Fatal(err)
			}
			env := func(name string) string {
				if v, ok := c.env[name]; ok {
					return v
				}
				return w.bus.Env(name)
			}
			Main(t.Context(), []string{"check"}, Stdio{In: strings.NewReader(""), Out: x.tty, Err: io.Discard}, env)
			x.when("There are no items.", 1)
			if got := strings.Contains(x.screen(), "\x1b[31merased\x1b[0m"); got != c.want {
				t.Errorf("coloured %v, want %v: %q", got, c.want, x.screen())
			}
		})
	}
	if r := w.run("check"); strings.Contains(r.out, "\x1b") {
		t.Errorf("colours in a pipe: %q", r.out)
	}
}

func TestProgressBar(t *testing.T) {
	var screen bytes.Buffer
	now := time.Unix(0, 0)
	p := &progress{to: &screen, now: func() time.Time { return now }, start: now}
	p.update(busapi.Progress{Operation: "backup", Done: 1, Total: 100})
	if screen.Len() != 0 {
		t.Errorf("a bar at once: %q", screen.String())
	}
	now = now.Add(patience)
	p.update(busapi.Progress{Operation: "backup", Done: 2})
	if screen.Len() != 0 {
		t.Errorf("a bar without a total: %q", screen.String())
	}
	p.update(busapi.Progress{Operation: "backup", Done: 50, Total: 100})
	if !strings.Contains(screen.String(), "backup") || !strings.Contains(screen.String(), "50%") {
		t.Errorf("no bar: %q", screen.String())
	}
	resume := p.pause()
	screen.Reset()
	p.update(busapi.Progress{Operation: "backup", Done: 60, Total: 100})
	if screen.Len() != 0 {
		t.Errorf("a bar during a prompt: %q", screen.String())
	}
	resume()
	p.close()
	screen.Reset()
	p.update(busapi.Progress{Operation: "backup", Done: 70, Total: 100})
	if screen.Len() != 0 {
		t.Errorf("a bar after the end: %q", screen.String())
	}
	(*progress)(nil).pause()()
}
