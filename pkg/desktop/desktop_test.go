package desktop

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
)

// service is a notification service with a person in front of it.
type service struct {
	conn  *dbus.Conn
	able  []string
	mu    sync.Mutex
	shown chan shownNote
	last  uint32
}

type shownNote struct {
	id            uint32
	summary, body string
	actions       []string
	urgency       byte
	expires       int32
}

func (s *service) GetCapabilities() ([]string, *dbus.Error) { return s.able, nil }

func (s *service) Notify(_ string, _ uint32, _, summary, body string, actions []string, hints map[string]dbus.Variant, expires int32) (uint32, *dbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	level, _ := hints["urgency"].Value().(byte)
	s.shown <- shownNote{s.last, summary, body, actions, level, expires}
	return s.last, nil
}

func (s *service) CloseNotification(id uint32) *dbus.Error {
	s.emit("NotificationClosed", id, uint32(3))
	return nil
}

func (s *service) emit(member string, args ...any) {
	_ = s.conn.Emit(notesPath, notesName+"."+member, args...)
}

// world is a session bus with a desktop on it.
type world struct {
	bus     *bustest.Bus
	desktop *Desktop
	service *service
	said    chan string // notes of what could not be shown
}

func (w *world) env(name string) string {
	if name == "DBUS_SESSION_BUS_ADDRESS" {
		return w.bus.Address
	}
	return ""
}

// newWorld has a pinentry that runs a script; $0.log gets what it is told.
func newWorld(t *testing.T, pinentry string, able ...string) *world {
	t.Helper()
	w := &world{bus: bustest.Start(t), said: make(chan string, 10)}
	if able != nil {
		w.service = &service{conn: w.bus.Connect(t), able: able, shown: make(chan shownNote, 10)}
		if err := w.service.conn.Export(w.service, notesPath, notesName); err != nil {
			t.Fatal(err)
		}
		if err := w.own(); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(t.TempDir(), "pinentry")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"+pinentry+playPinentry), 0o700); err != nil {
		t.Fatal(err)
	}
	note := func(format string, args ...any) { w.said <- fmt.Sprintf(format, args...) }
	var err error
	if w.desktop, err = Open(w.env, Config{Pinentry: program, Note: note}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.desktop.Close() })
	return w
}

const playPinentry = `
echo OK
while read -r line; do
	echo "$line" >>"$0.log"
	case $line in
	GETPIN) printf '%s\n' "$answer" ;;
	CONFIRM) printf '%s\n' "$confirm" ;;
	BYE) exit ;;
	*) echo OK ;;
	esac
done
`

// told is what the pinentry was told.
func (w *world) told(t *testing.T) string {
	t.Helper()
	log, err := os.ReadFile(w.desktop.Pinentry + ".log")
	if err != nil {
		t.Fatal(err)
	}
	return string(log)
}

func (w *world) own() error {
	reply, err := w.service.conn.RequestName(notesName, dbus.NameFlagDoNotQueue)
	if err == nil && reply != dbus.RequestNameReplyPrimaryOwner {
		err = errors.New("the name is taken")
	}
	return err
}

// asked puts a question and gives what came of it.
func asked[T any](ask func() (T, error)) <-chan string {
	done := make(chan string, 1)
	go func() {
		got, err := ask()
		if err != nil {
			done <- busapi.ErrorName(err)
			return
		}
		done <- fmt.Sprintf("%+v", got)
	}()
	return done
}

func summary() busapi.ReprovisionResult {
	r := busapi.ReprovisionResult{Planned: 10, Quarantined: 2, Kept: make([]busapi.Finding, 3)}
	for range 10 {
		r.Items = append(r.Items, busapi.Finding{Path: "/a<b>\x1b", Verdict: "erased"})
	}
	return r
}

func TestButtons(t *testing.T) {
	auto := busapi.AutoBackupQuestion{Reader: "pi", Every: 86400, Mode: "incremental"}
	confirm := func(d *Desktop) <-chan string {
		return asked(func() (bool, error) { return d.ConfirmReprovision(context.Background(), summary()) })
	}
	backup := func(d *Desktop) <-chan string {
		return asked(func() (busapi.AutoBackupSettings, error) { return d.AutoBackup(context.Background(), auto) })
	}
	for _, c := range []struct {
		name  string
		ask   func(*Desktop) <-chan string
		press string
		want  string
	}{
		{"restore", confirm, "restore", "true"},
		{"leave", confirm, "leave", "false"},
		{"put away", confirm, "", "Declined"},
		{"every day", backup, "often", "{Every:86400 Mode:incremental}"},
		{"every week", backup, "week", "{Every:604800 Mode:incremental}"},
		{"never", backup, "never", "{Every:0 Mode:incremental}"},
		{"later", backup, "later", "Declined"},
		{"put away too", backup, "", "Declined"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "", "actions", "body")
			done := c.ask(w.desktop)
			n := bustest.Wait(t, w.service.shown, "the notification")
			if n.expires != 0 {
				t.Error("the question goes by itself")
			}
			w.service.emit("ActionInvoked", n.id+1, c.press) // another's
			w.service.emit("ActionInvoked", n.id, "default") // the note itself, and no button
			w.service.emit("ActionInvoked", n.id)            // nonsense
			if c.press != "" {
				w.service.emit("ActionInvoked", n.id, c.press)
			} else {
				w.service.emit("NotificationClosed", n.id, uint32(2))
			}
			if got := bustest.Wait(t, done, "the answer"); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// Nobody but the service presses a button.
func TestForgedButton(t *testing.T) {
	w := newWorld(t, "", "actions")
	done := asked(func() (bool, error) { return w.desktop.ConfirmReprovision(t.Context(), summary()) })
	n := bustest.Wait(t, w.service.shown, "the notification")
	forger := w.bus.Connect(t)
	msg := &dbus.Message{Type: dbus.TypeSignal, Body: []any{n.id, "restore"}, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldPath: dbus.MakeVariant(notesPath), dbus.FieldInterface: dbus.MakeVariant(notesName),
		dbus.FieldMember: dbus.MakeVariant("ActionInvoked"), dbus.FieldSignature: dbus.MakeVariant(dbus.SignatureOf(n.id, "")),
		dbus.FieldDestination: dbus.MakeVariant(w.desktop.conn.Names()[0]),
	}}
	if call := forger.Send(msg, nil); call.Err != nil {
		t.Fatal(call.Err)
	}
	if err := forger.BusObject().Call(busDaemon+".GetId", 0).Err; err != nil { // the bus has passed it on by now
		t.Fatal(err)
	}
	w.service.emit("ActionInvoked", n.id, "leave")
	if got := bustest.Wait(t, done, "the answer"); got != "false" {
		t.Errorf("got %s", got)
	}
}

func TestWhatAQuestionShows(t *testing.T) {
	for _, able := range [][]string{{"actions", "body"}, {"actions", "body", "body-markup"}} {
		w := newWorld(t, "", able...)
		done := asked(func() (bool, error) { return w.desktop.ConfirmReprovision(t.Context(), summary()) })
		n := bustest.Wait(t, w.service.shown, "the notification")
		name := `/a<b>\x1b`
		if len(able) == 3 {
			name = `/a&lt;b&gt;\x1b`
		}
		want := "Comes back: 10. Replaced, and kept in the quarantine: 2. Changed since, and left as now: 3." +
			strings.Repeat("\nerased: "+name, 8) + "\nand 2 more"
		if n.body != want || n.urgency != 2 || strings.Join(n.actions, " ") != "restore Restore leave Not now" {
			t.Errorf("shown: %+v", n)
		}
		w.service.emit("ActionInvoked", n.id, "leave")
		bustest.Wait(t, done, "the answer")
	}
}

// A question that is moot goes from the screen; one whose service goes has nobody.
func TestQuestionsThatEnd(t *testing.T) {
	w := newWorld(t, "confirm='ERR 83886340 no display'", "actions")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := asked(func() (bool, error) { return w.desktop.ConfirmReprovision(ctx, summary()) })
	n := bustest.Wait(t, w.service.shown, "the notification")
	closed := make(chan *dbus.Signal, 10)
	watcher := w.bus.Connect(t)
	watcher.Signal(closed)
	if err := watcher.AddMatchSignal(dbus.WithMatchMember("NotificationClosed")); err != nil {
		t.Fatal(err)
	}
	cancel(busapi.ErrCanceled)
	if got := bustest.Wait(t, done, "the end"); got != "Canceled" {
		t.Errorf("got %s", got)
	}
	for s := range closed {
		if len(s.Body) == 2 && s.Body[0] == n.id {
			break
		}
	}
	confirm := asked(func() (bool, error) { return w.desktop.ConfirmReprovision(t.Context(), summary()) })
	bustest.Wait(t, w.service.shown, "the notification")
	w.service.conn.Close()
	if got := bustest.Wait(t, confirm, "the end"); got != "InputNeeded" { // and pinentry, which comes next, cannot ask
		t.Errorf("got %s", got)
	}
}

// Where there are no buttons pinentry asks.
func TestWithoutButtons(t *testing.T) {
	for name, able := range map[string][]string{"no service": nil, "no buttons": {"body"}} {
		for confirm, want := range map[string]string{"OK": "true", "ERR 83886194 no": "Declined", "ERR 83886340 no display": "InputNeeded"} {
			w := newWorld(t, "confirm='"+confirm+"'", able...)
			if got := bustest.Wait(t, asked(func() (bool, error) { return w.desktop.ConfirmReprovision(t.Context(), summary()) }), "the answer"); got != want {
				t.Errorf("%s, %s: got %s, want %s", name, confirm, got, want)
			}
			if told := w.told(t); !strings.Contains(told, "SETDESC Restore from the smart card reader?%0A%0AComes back: 10.") {
				t.Errorf("%s: pinentry was told %q", name, told)
			}
		}
	}
}

func TestSecrets(t *testing.T) {
	for _, c := range []struct {
		name string
		ask  func(*Desktop, context.Context) (string, error)
		told []string
	}{
		{"pairing", func(d *Desktop, ctx context.Context) (string, error) { return d.PairingPasscode(ctx, "pi", true) },
			[]string{"SETDESC The display of the reader pi", "SETERROR That passcode was wrong."}},
		{"PIN", func(d *Desktop, ctx context.Context) (string, error) { return d.CardPIN(ctx, "pi", 1, true) },
			[]string{"SETPROMPT PIN:", "SETERROR That PIN was wrong. One try is left."}},
		{"passcode", func(d *Desktop, ctx context.Context) (string, error) { return d.Passcode(ctx, "old", 3, true) },
			[]string{"SETDESC The data of old", "SETERROR That passcode was wrong. 3 tries are left."}},
		{"new passcode", func(d *Desktop, ctx context.Context) (string, error) { return d.NewPasscode(ctx, true) },
			[]string{"SETREPEAT The same", "takes the place"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "answer='D 12%2534\nOK'")
			if got, err := c.ask(w.desktop, t.Context()); err != nil || got != "12%34" {
				t.Errorf("got %q, %v", got, err)
			}
			for _, line := range c.told {
				if told := w.told(t); !strings.Contains(told, line) {
					t.Errorf("%q is missing in %q", line, told)
				}
			}
			for answer, want := range map[string]error{"OK": busapi.ErrDeclined, "ERR 83886179 x": busapi.ErrDeclined, "ERR 1 x": busapi.ErrInputNeeded} {
				if _, err := c.ask(newWorld(t, "answer='"+answer+"'").desktop, t.Context()); !errors.Is(err, want) {
					t.Errorf("%s: %v", answer, err)
				}
			}
		})
	}
}

func TestPairing(t *testing.T) {
	w := newWorld(t, "answer='D 001A7DDA7113\nOK'", "actions")
	done := asked(func() (string, error) { return w.desktop.Pairing(t.Context(), busapi.PairingQuestion{Overdue: true}) })
	n := bustest.Wait(t, w.service.shown, "the notification")
	if !strings.Contains(n.body, "OVERDUE") {
		t.Errorf("shown: %+v", n)
	}
	w.service.emit("ActionInvoked", n.id, "pair")
	if got := bustest.Wait(t, done, "the address"); got != "001A7DDA7113" {
		t.Errorf("got %s", got)
	}
	again := asked(func() (string, error) {
		return w.desktop.Pairing(t.Context(), busapi.PairingQuestion{Retry: true, Reason: "out of range"})
	})
	if got := bustest.Wait(t, again, "the address"); got != "001A7DDA7113" || !strings.Contains(w.told(t), "SETERROR That did not work: out of range") {
		t.Errorf("got %s; told %q", got, w.told(t))
	}
	later := asked(func() (string, error) { return w.desktop.Pairing(t.Context(), busapi.PairingQuestion{}) })
	w.service.emit("ActionInvoked", bustest.Wait(t, w.service.shown, "the notification").id, "later")
	if got := bustest.Wait(t, later, "the end"); got != "Declined" {
		t.Errorf("got %s", got)
	}
}

func TestNotices(t *testing.T) {
	w := newWorld(t, "", "body")
	w.desktop.Notify(busapi.Notice{Level: busapi.NoticeWarning, Text: "overdue\x1b"})
	if n := bustest.Wait(t, w.service.shown, "the notice"); n.body != `overdue\x1b` || n.urgency != 1 || n.expires != -1 || len(n.actions) != 0 {
		t.Errorf("shown: %+v", n)
	}
	alone := newWorld(t, "")
	alone.desktop.Notify(busapi.Notice{Text: "restored"})
	if said := bustest.Wait(t, alone.said, "the note"); !strings.Contains(said, "restored (no notifications") {
		t.Errorf("said %q", said)
	}
}

func TestOpenNeedsASession(t *testing.T) {
	none := func(string) string { return "" }
	if _, err := Open(none, Config{}); !errors.Is(err, busapi.ErrNotRunning) {
		t.Errorf("got %v", err)
	}
	dir := t.TempDir()
	if _, err := Open(func(name string) string { return map[string]string{"XDG_RUNTIME_DIR": dir}[name] }, Config{}); !errors.Is(err, busapi.ErrNotRunning) {
		t.Errorf("got %v", err)
	}
}

// TestDunst has a real notification daemon show a question on a display without a
// screen, and its own tool press the button.
func TestDunst(t *testing.T) {
	for _, program := range []string{"dunst", "dunstctl", "Xvfb"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	w := newWorld(t, "confirm='ERR 83886340 no display'")
	env := append(os.Environ(), "DBUS_SESSION_BUS_ADDRESS="+w.bus.Address, "DISPLAY="+display(t), "HOME="+t.TempDir(), "WAYLAND_DISPLAY=")
	dir := t.TempDir() // dunst has the choice between several buttons made by another program
	choose, config := filepath.Join(dir, "choose"), filepath.Join(dir, "dunstrc")
	if err := errors.Join(os.WriteFile(choose, []byte("#!/bin/sh\ngrep ^#Restore\n"), 0o700),
		os.WriteFile(config, []byte("[global]\ndmenu = "+choose+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	dunst := exec.Command("dunst", "-config", config)
	dunst.Env = env
	run(t, dunst)
	bus := w.bus.Connect(t).BusObject()
	bustest.Until(t, "dunst's name", func() bool { return bus.Call(busDaemon+".GetNameOwner", 0, notesName).Err == nil })
	ctl := func(args ...string) string {
		cmd := exec.Command("dunstctl", args...)
		cmd.Env = env
		out, _ := cmd.Output()
		return strings.TrimSpace(string(out))
	}
	for _, c := range []struct{ command, want string }{{"context", "true"}, {"close", "Declined"}} {
		done := asked(func() (bool, error) { return w.desktop.ConfirmReprovision(t.Context(), summary()) })
		bustest.Until(t, "the notification", func() bool { return ctl("count", "displayed") == "1" })
		ctl(c.command)
		if got := bustest.Wait(t, done, "the answer"); got != c.want {
			t.Errorf("%s: got %s, want %s", c.command, got, c.want)
		}
		bustest.Until(t, "its end", func() bool { return ctl("count", "displayed") == "0" })
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	done := asked(func() (bool, error) { return w.desktop.ConfirmReprovision(ctx, summary()) })
	bustest.Until(t, "the notification", func() bool { return ctl("count", "displayed") == "1" })
	cancel(busapi.ErrCanceled)
	bustest.Wait(t, done, "the end")
	bustest.Until(t, "its end", func() bool { return ctl("count", "displayed") == "0" })
}

// display starts an X server without a screen and returns its name.
func display(t *testing.T) string {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	x := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", "800x600x24", "-nolisten", "tcp")
	x.ExtraFiles = []*os.File{write}
	run(t, x)
	write.Close()
	line := make(chan string, 1)
	go func() { text, _ := bufio.NewReader(read).ReadString('\n'); line <- text }()
	number := strings.TrimSpace(bustest.Wait(t, line, "the display"))
	if number == "" {
		t.Skip("Xvfb does not run here")
	}
	return ":" + number
}

// run starts a program, and ends it with the test.
func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
}
