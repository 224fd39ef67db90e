package busapi_test

import (
	"context"
	"os"
	"sync/atomic"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
)

// logind plays the service: every process is outside of all sessions, and its user's
// graphical one is display.
type logind struct{ display atomic.Value }

func (l *logind) at(display dbus.ObjectPath) { l.display.Store(display) }

func (l *logind) GetSessionByPID(uint32) (dbus.ObjectPath, *dbus.Error) {
	return "", dbus.NewError("org.freedesktop.login1.NoSessionForPID", nil)
}

func (l *logind) GetUserByPID(pid uint32) (dbus.ObjectPath, *dbus.Error) {
	if int(pid) != os.Getpid() {
		return "", dbus.NewError("org.freedesktop.login1.NoUserForPID", nil)
	}
	return "/user", nil
}

// Get answers for the properties of the user and of sessions.
func (l *logind) Get(_, name string) (dbus.Variant, *dbus.Error) {
	if name == "Display" {
		return dbus.MakeVariant(struct {
			ID   string
			Path dbus.ObjectPath
		}{"1", l.display.Load().(dbus.ObjectPath)}), nil
	}
	return dbus.MakeVariant(true), nil
}

func startLogind(t *testing.T, conn *dbus.Conn, l *logind) {
	t.Helper()
	for path, iface := range map[dbus.ObjectPath]string{
		"/org/freedesktop/login1": "org.freedesktop.login1.Manager",
		"/user":                   "org.freedesktop.DBus.Properties", "/two": "org.freedesktop.DBus.Properties",
	} {
		if err := conn.Export(l, path, iface); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := conn.RequestName("org.freedesktop.login1", dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
}

// A program is answered for by its own session first, and the daemon by the session
// in the foreground, whoever registered last.
func TestSessionsComeFirst(t *testing.T) {
	bus, codes := bustest.Start(t), make(chan string, 1)
	l := new(logind)
	l.at("/two")
	startLogind(t, bus.Connect(t), l)
	d, _ := bus.ServeDevice(t, pairing(codes))
	serveOwner(t, dialDevice(t, bus), says("two", nil))
	l.at("/one") // has no properties: it is not in the foreground
	serveOwner(t, dialDevice(t, bus), says("one", nil))
	serveOwner(t, dialDevice(t, bus), says("three", nil))
	for display, want := range map[dbus.ObjectPath]string{"/two": "two", "/one": "three", "/three": "three"} {
		l.at(display)
		if _, err := dialDevice(t, bus).Pair(t.Context(), address); err != nil || <-codes != want {
			t.Errorf("in %s: not %q: %v", display, want, err)
		}
	}
	if code, err := d.Prompter().PairingPasscode(t.Context(), "pi", false); err != nil || code != "two" {
		t.Errorf("the daemon was answered %q, %v", code, err)
	}
}

// TestKeepAgent has an agent outlive the daemon.
func TestKeepAgent(t *testing.T) {
	bus, codes := bustest.Start(t), make(chan string, 1)
	_, stop := bus.ServeDevice(t, pairing(codes))
	standings, ended := make(chan busapi.Standing, 8), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		ended <- busapi.KeepAgent(ctx, bus.Env, says("1", nil), busapi.AgentOptions{Quiet: true, Standing: func(s busapi.Standing) { standings <- s }})
	}()
	want := func(s busapi.Standing) {
		t.Helper()
		if got := bustest.Wait(t, standings, "the standing"); got != s {
			t.Fatalf("the agent stands %q, want %q", got, s)
		}
	}
	want(busapi.StandingOwner)
	stop()
	want(busapi.StandingAway)
	d, _ := bus.ServeDevice(t, pairing(codes))
	want(busapi.StandingOwner)
	if code, err := d.Prompter().PairingPasscode(t.Context(), "pi", false); err != nil || code != "1" {
		t.Errorf("got %q, %v", code, err)
	}
	cancel()
	if err := bustest.Wait(t, ended, "the end"); err != nil {
		t.Error(err)
	}
	bustest.Until(t, "forgetting the agent", func() bool { return d.Agents() == 0 })
}
