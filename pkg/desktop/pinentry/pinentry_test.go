package pinentry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// person sits at a pseudo-terminal.
type person struct {
	t      *testing.T
	file   *os.File
	tty    *os.File // kept open: without it the terminal's other end would hang up
	mu     sync.Mutex
	screen strings.Builder
}

func sitDown(t *testing.T) *person {
	t.Helper()
	file, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	if err := unix.IoctlSetPointerInt(int(file.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(file.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	if err := unix.IoctlSetWinsize(int(file.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	p := &person{t: t, file: file, tty: tty}
	go func() { _, _ = io.Copy(p, file) }()
	t.Cleanup(func() { tty.Close(); file.Close() })
	return p
}

// Write implements io.Writer: the person reads.
func (p *person) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.Write(b)
}

func (p *person) sees() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.String()
}

func (p *person) waitFor(texts ...string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		missing := ""
		for _, text := range texts {
			if !strings.Contains(p.sees(), text) {
				missing = text
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%q is not on the screen: %q", missing, p.sees())
		}
	}
}

func (p *person) enter(text string) {
	p.t.Helper()
	if _, err := p.file.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}

// question is one for a program at the person's terminal.
func (p *person) question(program string) Question {
	return Question{
		Program: program, TTY: p.tty.Name(), Term: "xterm", Title: "Title 100%", Description: "First line\nsecond 100%", Prompt: "Passcode:",
	}
}

// programs are the pinentries without a window that are installed.
func programs(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, name := range []string{"pinentry-tty", "pinentry-curses"} {
		if path, err := exec.LookPath(name); err == nil {
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		t.Skip("neither pinentry-tty nor pinentry-curses is installed")
	}
	return found
}

type said struct {
	text string
	err  error
}

func ask(ctx context.Context, q Question) <-chan said {
	done := make(chan said, 1)
	go func() {
		text, err := q.Ask(ctx)
		done <- said{text, err}
	}()
	return done
}

func wait(t *testing.T, done <-chan said) said {
	t.Helper()
	select {
	case s := <-done:
		return s
	case <-time.After(patience):
		t.Fatal("no end")
	}
	return said{}
}

func TestRealPinentry(t *testing.T) {
	for _, program := range programs(t) {
		t.Run(filepath.Base(program), func(t *testing.T) {
			p := sitDown(t)
			q := p.question(program)
			q.Error = "That was wrong."
			done := ask(t.Context(), q)
			p.waitFor("second 100%", "That was wrong.", "Passcode:")
			p.enter("s3cret % ü\r")
			if got := wait(t, done); got.err != nil || got.text != "s3cret % ü" {
				t.Errorf("got %q, %v", got.text, got.err)
			}
			if strings.Contains(p.sees(), "s3cret") {
				t.Errorf("the secret is on the screen: %q", p.sees())
			}
		})
	}
}

// A question that is moot goes from the screen, and the terminal is as it was.
func TestMootQuestion(t *testing.T) {
	for _, program := range programs(t) {
		t.Run(filepath.Base(program), func(t *testing.T) {
			p := sitDown(t)
			before, err := unix.IoctlGetTermios(int(p.tty.Fd()), unix.TCGETS)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			done, moot := ask(ctx, p.question(program)), errors.New("moot")
			p.waitFor("Passcode:")
			cancel(moot)
			if got := wait(t, done); !errors.Is(got.err, moot) || got.text != "" {
				t.Errorf("got %q, %v", got.text, got.err)
			}
			after, err := unix.IoctlGetTermios(int(p.tty.Fd()), unix.TCGETS)
			if err != nil || after.Lflag&unix.ECHO != before.Lflag&unix.ECHO {
				t.Errorf("echo is not as it was: %v", err)
			}
		})
	}
}

// script writes a program that plays a pinentry.
func script(t *testing.T, body string) Question {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pinentry")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+body), 0o700); err != nil {
		t.Fatal(err)
	}
	return Question{Program: name, Title: "T", Prompt: "P:", Repeat: "Again:"}
}

// polite answers OK to every setting, and with $1 to what is asked.
const polite = `echo "OK Pleased to meet you"
while read -r line; do
	echo "$line" >>"$0.log"
	case $line in
	GETPIN) printf '%s\n' "$answer" ;;
	CONFIRM) printf '%s\n' "$confirm" ;;
	BYE) exit ;;
	OPTION*) echo "ERR 83886254 Unknown option" ;;
	*) echo OK ;;
	esac
done
`

func TestWhatPinentryMaySay(t *testing.T) {
	long := strings.Repeat("x", 990)
	for name, c := range map[string]struct {
		body, want string
		err        error
	}{
		"an answer":        {"answer='D a%25b%0Ac\nOK'\n" + polite, "a%b\nc", nil},
		"in two lines":     {"answer='# one\nS PIN_REPEATED\nD a\nD b\nOK'\n" + polite, "ab", nil},
		"an empty one":     {"answer=OK\n" + polite, "", nil},
		"canceled":         {"answer='ERR 83886179 Operation cancelled <Pinentry>'\n" + polite, "", ErrCanceled},
		"time is over":     {"answer='ERR 83886142 Timeout'\n" + polite, "", ErrCanceled},
		"no display":       {"answer='ERR 83886340 No display'\n" + polite, "", ErrUnavailable},
		"a strange error":  {"answer='ERR none'\n" + polite, "", ErrUnavailable},
		"a strange line":   {"answer='HELLO'\n" + polite, "", ErrUnavailable},
		"a question":       {"answer='INQUIRE what'\n" + polite, "", ErrUnavailable},
		"a cut escape":     {"answer='D a%2'\n" + polite, "", ErrUnavailable},
		"no number":        {"answer='D a%zz'\n" + polite, "", ErrUnavailable},
		"too much":         {"answer='" + strings.Repeat("D "+long+"\n", 5) + "OK'\n" + polite, "", ErrUnavailable},
		"a long line":      {"answer='D " + long + long + "'\n" + polite, "", ErrUnavailable},
		"many lines":       {"answer='" + strings.Repeat("S x\n", maxLines) + "OK'\n" + polite, "", ErrUnavailable},
		"nothing":          {"exit 0\n", "", ErrUnavailable},
		"an end":           {"echo OK; read -r x\n", "", ErrUnavailable},
		"without an end":   {"echo OK; exec yes\n", "", ErrUnavailable},
		"no greeting":      {"echo ERR 1 go away\n", "", ErrUnavailable},
		"a secret in a OK": {"answer='OK the end'\n" + polite, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := wait(t, ask(t.Context(), script(t, c.body)))
			if got.text != c.want || !errors.Is(got.err, c.err) || c.err == nil && got.err != nil {
				t.Errorf("got %q, %v", got.text, got.err)
			}
		})
	}
	if _, err := (Question{Program: "/none/pinentry"}).Ask(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without a program: %v", err)
	}
}

func TestWhatPinentryIsTold(t *testing.T) {
	q := script(t, "answer=OK\n"+polite)
	q.Description = "one\r\ntwo 100%\x00 BYE"
	if _, err := q.Ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(q.Program + ".log")
	want := "OPTION no-grab\nSETTITLE T\nSETDESC one%0D%0Atwo 100%25%00 BYE\nSETPROMPT P:\nSETREPEAT Again:\n" +
		"SETREPEATERROR The two are not the same.\nGETPIN\nBYE\n"
	if err != nil || string(log) != want {
		t.Errorf("it was told %q, %v", log, err)
	}
}

func TestConfirm(t *testing.T) {
	for confirm, want := range map[string]error{"OK": nil, "ERR 83886194 Not confirmed": ErrCanceled, "ERR 5 no": ErrUnavailable} {
		if err := script(t, "confirm='"+confirm+"'\n"+polite).Confirm(t.Context()); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: %v", confirm, err)
		}
	}
}

func TestFit(t *testing.T) {
	for _, tail := range []string{"%0A%0A", "é", "xxxx"} {
		line := fit("SETDESC " + strings.Repeat(tail, 600))
		if len(line) > maxLine || !strings.HasSuffix(line, "...") || strings.ToValidUTF8(line, "") != line {
			t.Errorf("%q: %d bytes, ending in %q", tail, len(line), line[len(line)-8:])
		}
		if i := strings.LastIndexByte(line, '%'); i >= 0 && len(line)-i < 6 {
			t.Errorf("an escape is cut: %q", line[i:])
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{"OK\n", "D a%25\nOK\n", "ERR 99 x\n", "S x\n# y\n\nINQUIRE\n", "D %\n", "D %zz\nOK", "D\nOK\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		text, err := newConn(io.Discard, strings.NewReader(string(raw))).answer()
		if len(text) > maxData || err != nil && text != "" {
			t.Errorf("%d bytes, %v", len(text), err)
		}
		if strings.ContainsAny(escape(string(raw)), "\r\n\x00") {
			t.Error("an argument on two lines")
		}
		back, err := unescape(nil, []byte(escape(string(raw))))
		if len(raw) <= maxData && (err != nil || string(back) != string(raw)) {
			t.Errorf("%q came back as %q, %v", raw, back, err)
		}
	})
}
