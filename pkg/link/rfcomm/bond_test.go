//go:build bluetooth

package rfcomm_test

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/reprovision/reprovision/pkg/bluez"
	"github.com/reprovision/reprovision/pkg/link"
)

// object is a peer's object at an adapter.
func object(adapter string, a link.Address) dbus.ObjectPath {
	return dbus.ObjectPath("/org/bluez/" + adapter + "/dev_" + strings.ReplaceAll(a.String(), ":", "_"))
}

// forget removes a bond on one side only.
func forget(t *testing.T, adapter string, a link.Address) {
	t.Helper()
	call := systemBus(t).Object("org.bluez", dbus.ObjectPath("/org/bluez/"+adapter)).
		Call("org.bluez.Adapter1.RemoveDevice", 0, object(adapter, a))
	var answer dbus.Error
	if call.Err != nil && !(errors.As(call.Err, &answer) && answer.Name == "org.bluez.Error.DoesNotExist") {
		t.Fatal(call.Err)
	}
}

func bonded(t *testing.T, adapter string, a link.Address) bool {
	t.Helper()
	v, err := systemBus(t).Object("org.bluez", object(adapter, a)).GetProperty("org.bluez.Device1.Bonded")
	return err == nil && v.Value() == true
}

// exchange proves that a connection carries bytes, and ends it.
func (w world) exchange(t *testing.T) {
	t.Helper()
	device, reader := w.connect(t)
	defer device.Close()
	defer reader.Close()
	for _, conn := range []interface{ SetDeadline(time.Time) error }{device, reader} {
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := device.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := reader.Read(b); err != nil {
		t.Fatal(err)
	}
}

// reconnect is exchange as the daemons do it: a reader that cannot be reached is
// tried again. When both hosts come up BlueZ itself can hang until its watchdog
// ends it (systemd/bluetooth-watchdog.conf).
func (w world) reconnect(t *testing.T) {
	t.Helper()
	for ctx := within(t, 3*patience); ; time.Sleep(time.Second) {
		err := w.try(ctx)
		if err == nil {
			return
		}
		if ctx.Err() != nil || !errors.Is(err, link.ErrUnreachable) {
			t.Fatal(err)
		}
		t.Logf("trying again: %v", err)
	}
}

// try connects and has five bytes arrive. What the reader accepted of an attempt
// that failed at the device has ended without them.
func (w world) try(ctx context.Context) error {
	device, err := w.dialer.Dial(ctx, w.listener.Address())
	if err != nil {
		return err
	}
	defer device.Close()
	if _, err := device.Write([]byte("hello")); err != nil {
		return err
	}
	for {
		reader, err := w.listener.Accept(ctx)
		if err != nil {
			return err
		}
		err = reader.SetDeadline(time.Now().Add(patience))
		_, readErr := io.ReadFull(reader, make([]byte, 5))
		if reader.Close(); err == nil && readErr == nil {
			return nil
		}
	}
}

// TestBonds goes through what can become of a bond. Nobody has one first.
func TestBonds(t *testing.T) {
	w := newWorld(t)
	device, reader := link.Address(w.device.State().Address), w.listener.Address()
	forget(t, deviceAdapter, reader)
	forget(t, readerAdapter, device)

	w.show(t)
	w.exchange(t)
	if !bonded(t, deviceAdapter, reader) || !bonded(t, readerAdapter, device) {
		t.Error("no bond was made in the reader's window")
	}
	if err := w.reader.Hide(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	w.reader.Expect(bluez.Address(device)) // as after a pairing
	for name, lose := range map[string]func(){
		"the device": func() { forget(t, deviceAdapter, reader) },
		"the reader": func() { forget(t, readerAdapter, device) },
		"both":       func() { forget(t, deviceAdapter, reader); forget(t, readerAdapter, device) },
		"nobody":     func() {},
	} {
		t.Logf("%s loses the bond", name)
		lose()
		begun := time.Now()
		w.exchange(t)
		t.Logf("%s lost the bond, outside the window: connected after %.1f s", name, time.Since(begun).Seconds())
	}
}

// TestWindow sees what the window opens and closes.
func TestWindow(t *testing.T) {
	w := newWorld(t)
	property := func(name string) any {
		v, err := systemBus(t).Object("org.bluez", "/org/bluez/"+readerAdapter).GetProperty("org.bluez.Adapter1." + name)
		if err != nil {
			t.Fatal(err)
		}
		return v.Value()
	}
	expect := func(visible bool) {
		t.Helper()
		for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
			if property("Discoverable") == visible && property("Pairable") == visible {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("discoverable %v, pairable %v; want %v", property("Discoverable"), property("Pairable"), visible)
			}
		}
	}
	expect(false)
	w.show(t)
	expect(true)
	if err := w.reader.Hide(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	expect(false)
	if err := w.reader.Show(within(t, patience), 2*time.Second); err != nil {
		t.Fatal(err)
	}
	expect(true)
	expect(false) // by itself
	if property("Alias") != "reader under test" {
		t.Errorf("the alias is %v", property("Alias"))
	}
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(within(t, patience), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// TestTroubles switches off, restarts and blocks what Bluetooth is made of. Each
// time the link is said to be unusable, and comes back by itself.
func TestTroubles(t *testing.T) {
	w := newWorld(t)
	w.show(t)
	w.exchange(t)
	power := func(on bool) {
		err := systemBus(t).Object("org.bluez", "/org/bluez/"+deviceAdapter).
			SetProperty("org.bluez.Adapter1.Powered", dbus.MakeVariant(on))
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, trouble := range []struct {
		name       string
		begin, end func()
		want       error
	}{
		{name: "the adapter is switched off", begin: func() { power(false) }, end: func() { power(true) }, want: bluez.ErrPoweredOff},
		{name: "bluetoothd ends", begin: func() { run(t, "systemctl", "stop", "bluetooth") },
			end: func() { run(t, "systemctl", "start", "bluetooth") }, want: bluez.ErrNotRunning},
		{name: "bluetoothd is killed", begin: func() { run(t, "systemctl", "kill", "-s", "KILL", "bluetooth") },
			end: func() { run(t, "systemctl", "restart", "bluetooth") }},
		{name: "bluetoothd hangs", begin: func() { run(t, "systemctl", "kill", "-s", "STOP", "bluetooth") },
			end: func() {}},
		{name: "rfkill", begin: func() { run(t, "rfkill", "block", "bluetooth") },
			end: func() { run(t, "rfkill", "unblock", "bluetooth") }, want: bluez.ErrBlocked},
	} {
		trouble.begin()
		for end := time.Now().Add(patience); trouble.want != nil && !errors.Is(w.device.State().Err(), trouble.want); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: the state is %v; want %v", trouble.name, w.device.State().Err(), trouble.want)
			}
		}
		if trouble.want != nil {
			_, err := w.dialer.Dial(within(t, patience), w.listener.Address())
			if !errors.Is(err, link.ErrUnreachable) || !errors.Is(err, trouble.want) {
				t.Errorf("%s: Dial: %v", trouble.name, err)
			}
		}
		trouble.end()
		begun := time.Now()
		for _, c := range []*bluez.Client{w.device, w.reader} {
			if err := c.Wait(within(t, patience)); err != nil {
				t.Fatalf("%s: %v", trouble.name, err)
			}
		}
		w.reconnect(t)
		t.Logf("%s: connected again %.1f s after its end", trouble.name, time.Since(begun).Seconds())
	}
}
