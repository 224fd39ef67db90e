package busapi_test

import (
	"context"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
)

// startFollowing follows the device and gives what it sees on channels.
func startFollowing(t *testing.T, bus *bustest.Bus) (events <-chan busapi.Event, running <-chan bool) {
	t.Helper()
	e, r, ended := make(chan busapi.Event, 100), make(chan bool, 100), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		ended <- busapi.FollowDevice(ctx, bus.Env, busapi.Follower{
			Event: func(v busapi.Event) { e <- v }, Running: func(v bool) { r <- v },
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := bustest.Wait(t, ended, "the end of following"); err != nil {
			t.Errorf("following ended with %v", err)
		}
	})
	return e, r
}

func TestFollowOutlivesTheDaemon(t *testing.T) {
	bus := bustest.Start(t)
	events, running := startFollowing(t, bus)
	if bustest.Wait(t, running, "the first look") {
		t.Fatal("a daemon is running before there is one")
	}
	for i := range int64(2) {
		d, stop := bus.ServeDevice(t, &bustest.Device{})
		if !bustest.Wait(t, running, "the daemon's coming") {
			t.Fatal("the daemon did not come")
		}
		want := busapi.Event{Time: "t", Side: "device", Event: "link", Fields: map[string]any{"n": i}}
		d.Emit(want)
		if diff := cmp.Diff(want, bustest.Wait(t, events, "the event")); diff != "" {
			t.Error(diff)
		}
		stop()
		if bustest.Wait(t, running, "the daemon's going") {
			t.Fatal("the daemon did not go")
		}
	}
}

// Events go to subscribers only, and in order; a subscriber that leaves is
// forgotten.
func TestEventsGoToSubscribers(t *testing.T) {
	bus := bustest.Start(t)
	d, _ := bus.ServeDevice(t, &bustest.Device{})
	stranger := bus.Connect(t)
	heard := make(chan *dbus.Signal, 100)
	stranger.Signal(heard)
	if err := stranger.AddMatchSignal(dbus.WithMatchInterface("org.reprovision.Device1")); err != nil {
		t.Fatal(err)
	}
	subscriber := dialDevice(t, bus)
	if err := subscriber.Conn().Object(busapi.DeviceName, busapi.DevicePath).Call("org.reprovision.Device1.Subscribe", 0).Err; err != nil {
		t.Fatal(err)
	}
	events, running := startFollowing(t, bus)
	bustest.Wait(t, running, "the subscription")
	for i := range int64(50) {
		d.Emit(busapi.Event{Time: "t", Side: "device", Event: "verdict", Fields: map[string]any{"path": "/secret", "n": i}})
	}
	d.SetProgress(busapi.Progress{Operation: "backup", Done: 1, Total: 2})
	for i := range int64(50) {
		if e := bustest.Wait(t, events, "an event"); e.Fields["n"] != i {
			t.Fatalf("event %v came as number %d", e.Fields["n"], i)
		}
	}
	if s := await(t, heard, "org.reprovision.Device1.Progress"); len(heard) != 0 || s.Body[0] != "backup" {
		t.Errorf("the stranger heard %v", s)
	}
	subscriber.Close()
	bustest.Until(t, "forgetting the subscriber", func() bool { return d.Subscribers() == 1 })
}

// Nobody but the daemon can make events.
func TestForgedEvents(t *testing.T) {
	bus := bustest.Start(t)
	d, _ := bus.ServeDevice(t, &bustest.Device{})
	events, running := startFollowing(t, bus)
	bustest.Wait(t, running, "the subscription")
	forger := bus.Connect(t)
	forged := busapi.Dict{"event": dbus.MakeVariant("forged"), "side": dbus.MakeVariant("device"), "time": dbus.MakeVariant("t")}
	tellAll(t, forger, busapi.DevicePath, "org.reprovision.Device1", "Event", forged)
	tellAll(t, forger, "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameOwnerChanged", busapi.DeviceName, "", "")
	// The bus keeps the order of one sender; this call is behind both.
	if err := forger.BusObject().Call("org.freedesktop.DBus.GetId", 0).Err; err != nil {
		t.Fatal(err)
	}
	d.Emit(busapi.Event{Time: "t", Side: "device", Event: "link"})
	if e := bustest.Wait(t, events, "the event"); e.Event != "link" {
		t.Errorf("got %v", e)
	}
}

// tellAll sends a signal to each connection by its name: no match rule of
// theirs keeps it away.
func tellAll(t *testing.T, conn *dbus.Conn, path dbus.ObjectPath, iface, member string, body ...any) {
	t.Helper()
	var names []string
	if err := conn.BusObject().Call("org.freedesktop.DBus.ListNames", 0).Store(&names); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, ":") {
			continue
		}
		conn.Send(&dbus.Message{Type: dbus.TypeSignal, Body: body, Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldPath: dbus.MakeVariant(path), dbus.FieldInterface: dbus.MakeVariant(iface),
			dbus.FieldMember: dbus.MakeVariant(member), dbus.FieldDestination: dbus.MakeVariant(name),
			dbus.FieldSignature: dbus.MakeVariant(dbus.SignatureOf(body...)),
		}}, nil)
	}
}

func TestProgress(t *testing.T) {
	bus := bustest.Start(t)
	d, _ := bus.ServeDevice(t, &bustest.Device{})
	got := make(chan busapi.Progress, 10)
	stop, err := dialDevice(t, bus).WatchProgress(func(p busapi.Progress) { got <- p })
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []busapi.Progress{{Operation: "backup", Done: 1, Total: 10}, {Operation: "backup", Done: 10, Total: 10}} {
		d.SetProgress(p)
		if seen := bustest.Wait(t, got, "progress"); seen != p {
			t.Errorf("got %v, want %v", seen, p)
		}
	}
	d.SetProgress(busapi.Progress{Operation: "check", Done: -5})
	if seen := bustest.Wait(t, got, "progress"); seen != (busapi.Progress{Operation: "check"}) {
		t.Errorf("a negative figure became %v", seen)
	}
	stop()
}
