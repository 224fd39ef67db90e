package terminal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/rivo/uniseg"
	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/panel"
	"github.com/reprovision/reprovision/pkg/panel/picture"
)

func renderer(t testing.TB) *picture.Renderer {
	t.Helper()
	r, err := picture.New()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// screen is the text of a frame, without its control sequences.
func screen(frame string) []string {
	frame = strings.NewReplacer(wake, "", home, "", rest, "", below, "", enter, "").Replace(frame)
	return strings.Split(frame, "\r\n")
}

// TestPicture reads the OLED's picture off a large terminal.
func TestPicture(t *testing.T) {
	r := renderer(t)
	view := panel.View{State: panel.Passcode, Passcode: "31415926"}
	const columns, rows, left, top = 240, 67, (240 - picture.Width) / 2, (67 - picture.Height/2) / 2
	want := r.Draw(view)
	lines := screen(frame(r, view, columns, rows))
	got := image.NewGray(want.Bounds())
	for y, line := range lines[top : top+picture.Height/2] {
		for x, c := range slices.Collect(seq([]rune(line)[left:])) {
			upper, lower := c == '█' || c == '▀', c == '█' || c == '▄'
			if bool(want.BitAt(x, 2*y)) != upper || bool(want.BitAt(x, 2*y+1)) != lower {
				t.Fatalf("%q at %d, %d of %v", c, x, y, got.Rect)
			}
		}
	}
	for i, line := range lines {
		if (i < top || i >= top+picture.Height/2) && line != "" {
			t.Errorf("row %d: %q", i, line)
		}
	}
}

func seq(runes []rune) func(func(rune) bool) { return slices.Values(runes) }

func TestSmaller(t *testing.T) {
	r := renderer(t)
	passcode := panel.View{State: panel.Passcode, Passcode: "31415926"}
	lines := screen(frame(r, passcode, 100, 30))
	text := strings.Join(lines, "\n")
	for _, word := range []string{"3141", "5926"} {
		for _, row := range blocks(picture.Banner(word)) {
			if !strings.Contains(text, row) {
				t.Errorf("%s is not on the terminal:\n%s", word, text)
			}
		}
	}
	lines = screen(frame(r, passcode, 40, 12))
	if text := strings.Join(lines, "\n"); !strings.Contains(text, "1234 5678") && !strings.Contains(text, "3141 5926") {
		t.Errorf("no passcode on a small terminal:\n%s", text)
	}
	if cut := cut("00:1A:7D:DA:71:13"); cut[0] != "00:1A:7D" || cut[1] != "DA:71:13" {
		t.Errorf("the address is cut into %q", cut)
	}
}

func FuzzFrame(f *testing.F) {
	f.Add("address", "00:1A:7D:DA:71:13", 80, 24)
	f.Add("paired", "\x1b[2J\n日本", 21, 8)
	f.Add("passcode", "\xff", 1, 1)
	f.Fuzz(func(t *testing.T, state, text string, columns, rows int) {
		columns, rows = max(0, columns%300), max(0, rows%100)
		v := panel.View{State: panel.State(state), Address: text, Passcode: text, Name: text, Reason: text, Notice: text, Card: text}
		if v.State == panel.Progress {
			v.Task = panel.Saving
		}
		lines := screen(frame(renderer(t), v, columns, rows))
		if len(lines) > max(1, rows) {
			t.Fatalf("%d lines on %d rows", len(lines), rows)
		}
		for _, line := range lines {
			if w := uniseg.StringWidth(line); w > columns {
				t.Fatalf("%q takes %d of %d columns", line, w, columns)
			}
			if strings.ContainsFunc(line, unicode.IsControl) {
				t.Fatalf("%q holds a control character", line)
			}
		}
	})
}

// pty is a terminal of the kernel's, and what was written to it.
type pty struct {
	master *os.File
	path   string

	mu   sync.Mutex
	seen bytes.Buffer
	done chan struct{}
}

func newPTY(t *testing.T, columns, rows uint16) *pty {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	must(err)
	must(unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}))
	p := &pty{master: os.NewFile(uintptr(fd), "pty"), path: fmt.Sprintf("/dev/pts/%d", n), done: make(chan struct{})}
	t.Cleanup(p.hangUp)
	go p.read()
	return p
}

func (p *pty) read() {
	defer close(p.done)
	buffer := make([]byte, 4096)
	for {
		n, err := p.master.Read(buffer)
		p.mu.Lock()
		p.seen.Write(buffer[:n])
		p.mu.Unlock()
		if errors.Is(err, unix.EIO) { // nobody has it open
			time.Sleep(time.Millisecond)
		} else if err != nil {
			return
		}
	}
}

func (p *pty) hangUp() {
	p.master.Close()
	<-p.done
}

// sees waits until the last of the terminal is as wanted.
func (p *pty) sees(t *testing.T, what string, is func(all string) bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		p.mu.Lock()
		all := p.seen.String()
		p.mu.Unlock()
		if is(all) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not on the terminal: %q", what, all)
		}
	}
}

// TestRun shows a passcode on a terminal that appears late, hangs up and comes back, and
// leaves nothing of it there.
func TestRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tty")
	display := panel.New()
	var log bytes.Buffer
	s, err := New(Config{Display: display, Path: path, Logger: slog.New(slog.NewTextHandler(&log, nil)), Retry: 20 * time.Millisecond, Check: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	time.Sleep(100 * time.Millisecond)

	first := newPTY(t, 40, 12)
	link(t, first.path, path)
	first.sees(t, "idle", func(all string) bool { return strings.Contains(all, "Press the button") })
	display.ShowPasscode("31415926")
	first.sees(t, "the passcode", func(all string) bool { return strings.Contains(all, "3141 5926") })
	first.hangUp()

	second := newPTY(t, 40, 12)
	link(t, second.path, path)
	second.sees(t, "the passcode", func(all string) bool { return strings.Contains(all, "3141 5926") })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	second.sees(t, "nothing", func(all string) bool { return strings.HasSuffix(all, leave) })
	if n := strings.Count(log.String(), "\n"); n != 4 {
		t.Errorf("%d lines in the log, want 4:\n%s", n, log.String())
	}
}

// link has path lead to a terminal.
func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path+"~"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+"~", path); err != nil {
		t.Fatal(err)
	}
}

// TestStopped gives a terminal up that takes nothing, as after Ctrl+S.
func TestStopped(t *testing.T) {
	p := newPTY(t, 40, 12)
	slave, err := os.OpenFile(p.path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	if err := unix.IoctlSetInt(int(slave.Fd()), unix.TCXONC, unix.TCOOFF); err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Display: panel.New(), Path: p.path, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.session(t.Context(), func() {}); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

func TestNoTerminal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Display: panel.New(), Path: file, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.session(t.Context(), func() {}); err == nil || !strings.Contains(err.Error(), "no terminal") {
		t.Error(err)
	}
	if _, err := New(Config{}); err == nil {
		t.Error("a screen without a terminal is made")
	}
}
