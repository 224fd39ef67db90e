package bluez_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/bluez"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
)

func dialing(t *testing.T) (*fake, *bluez.Client) {
	t.Helper()
	// The tests are about discovery where a socket cannot be had.
	fd, err := unix.Socket(unix.AF_BLUETOOTH, unix.SOCK_SEQPACKET, unix.BTPROTO_L2CAP)
	if err == nil {
		_ = unix.Close(fd)
		t.Skip("this machine has Bluetooth: an address would be paged in earnest")
	}
	bus := bustest.Start(t)
	f := newFake(t, bus)
	c := client(t, bus, bluez.Config{Role: bluez.Dialer})
	usable(t, c)
	return f, c
}

func dial(t *testing.T, c *bluez.Client) {
	t.Helper()
	s, err := c.Dial(within(t), peer())
	if err != nil {
		t.Fatal(err)
	}
	if s.Peer != peer() || s.Local != own() {
		t.Errorf("a socket from %s to %s", s.Local, s.Peer)
	}
	bluez.HangUp(s.File)
}

// TestDialFromNothing discovers, bonds and connects, and does only the last of
// these the second time.
func TestDialFromNothing(t *testing.T) {
	f, c := dialing(t)
	dial(t, c)
	dial(t, c)
	for method, want := range map[string]int{
		"StartDiscovery": 1, "StopDiscovery": 1, "RegisterAgent": 1, "UnregisterAgent": 1, "Pair": 1, "ConnectProfile": 2,
		"Set Discoverable": 0, "Set Pairable": 0, "Set Powered": 0,
	} {
		if n := f.did(method); n != want {
			t.Errorf("%s was called %d times; want %d", method, n, want)
		}
	}
}

func TestDialWithoutBond(t *testing.T) {
	f, c := dialing(t)
	f.appear(false)
	f.failing("Pair", "org.bluez.Error.AuthenticationRejected", "")
	dial(t, c)
	if f.agentPath() != "" {
		t.Error("the agent stays after a refusal")
	}
}

// TestDialMendsTheBond has a bond that only this side knows.
func TestDialMendsTheBond(t *testing.T) {
	f, c := dialing(t)
	f.appear(true)
	f.failing("ConnectProfile", "org.bluez.Error.Failed", "br-connection-refused")
	f.heals("RemoveDevice", "ConnectProfile")
	dial(t, c)
	if f.did("Pair") != 1 || f.did("RemoveDevice") != 1 {
		t.Errorf("bonded %d times, forgot %d times; want once each", f.did("Pair"), f.did("RemoveDevice"))
	}
}

// TestDialForgetsWhatWasOffered has a link from before the peer had the service.
func TestDialForgetsWhatWasOffered(t *testing.T) {
	f, c := dialing(t)
	f.appear(true)
	f.failing("ConnectProfile", "org.bluez.Error.NotAvailable", "br-connection-profile-unavailable")
	if _, err := c.Dial(within(t), peer()); !errors.Is(err, bluez.ErrNoService) || f.did("Disconnect") != 0 {
		t.Fatalf("without a link: %v, %d times disconnected", err, f.did("Disconnect"))
	}
	f.tell(peerPath, deviceIface, props{"Connected": dbus.MakeVariant(true)})
	f.heals("Disconnect", "ConnectProfile")
	bustest.Until(t, "a connection", func() bool {
		s, err := c.Dial(within(t), peer())
		if err == nil {
			bluez.HangUp(s.File)
		}
		return err == nil
	})
	if n := f.did("RemoveDevice"); n != 0 {
		t.Errorf("%d bonds were removed", n)
	}
}

// TestDialFailures maps what BlueZ says.
func TestDialFailures(t *testing.T) {
	f, c := dialing(t)
	f.appear(true)
	const failed = "org.bluez.Error.Failed"
	for _, tt := range []struct {
		name, text string
		want       error
	}{
		{failed, "br-connection-page-timeout", bluez.ErrAbsent},
		{failed, "Host is down", bluez.ErrAbsent},
		{"org.bluez.Error.ConnectionAttemptFailed", "Page Timeout", bluez.ErrAbsent},
		{failed, "br-connection-profile-unavailable", bluez.ErrNoService},
		{failed, "br-connection-not-supported", bluez.ErrNoService},
		{"org.bluez.Error.NotAvailable", "br-connection-profile-unavailable", bluez.ErrNoService},
		{"org.bluez.Error.DoesNotExist", "", bluez.ErrNoService},
		{failed, "br-connection-adapter-not-powered", bluez.ErrPoweredOff},
		{"org.bluez.Error.NotReady", "Resource Not Ready", bluez.ErrPoweredOff},
		{"org.freedesktop.DBus.Error.NoReply", "", bluez.ErrNotRunning},
	} {
		f.failing("ConnectProfile", tt.name, tt.text)
		if _, err := c.Dial(within(t), peer()); !errors.Is(err, tt.want) {
			t.Errorf("%s %q: %v; want %v", tt.name, tt.text, err, tt.want)
		}
	}
	if n := f.did("RemoveDevice"); n != 0 {
		t.Errorf("%d bonds were removed because of failures that tell nothing of bonds", n)
	}
	f.failing("ConnectProfile", "org.bluez.Error.InProgress", "In Progress")
	if _, err := c.Dial(within(t), peer()); !errors.Is(err, bluez.ErrBusy) {
		t.Errorf("busy: %v", err)
	}
}

// TestDialGetsNoSocket is a ConnectProfile that says yes and hands over nothing.
func TestDialGetsNoSocket(t *testing.T) {
	f, c := dialing(t)
	f.appear(true)
	f.locked(func() { f.noSocket = true })
	if _, err := c.Dial(within(t), peer()); !errors.Is(err, bluez.ErrRefused) {
		t.Errorf("Dial: %v; want ErrRefused", err)
	}
	if f.did("Disconnect") == 0 {
		t.Error("the connection that BlueZ thinks it has was not ended")
	}
}

// TestDialCancelled ends contexts while BlueZ does not answer. Another Dial waits
// for its turn meanwhile, and has an end, too.
func TestDialCancelled(t *testing.T) {
	f, c := dialing(t)
	f.appear(true)
	f.locked(func() { f.hang["ConnectProfile"] = true })
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() {
		_, err := c.Dial(ctx, peer())
		result <- err
	}()
	bustest.Until(t, "ConnectProfile", func() bool { return f.did("ConnectProfile") == 1 })
	short, end := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer end()
	if _, err := c.Dial(short, peer()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the second Dial: %v", err)
	}
	cancel()
	if err := bustest.Wait(t, result, "the end of the Dial"); !errors.Is(err, context.Canceled) {
		t.Errorf("Dial: %v", err)
	}
	if f.did("Disconnect") != 1 {
		t.Error("BlueZ goes on connecting")
	}
	if err := f.hand(peerPath); err == nil {
		t.Error("a socket that nobody waits for was taken")
	}
}

// TestNear tells of peers that come by themselves, and not of those that are
// dialed.
func TestNear(t *testing.T) {
	bus := bustest.Start(t)
	f := newFake(t, bus)
	near := make(chan bluez.Address, 8)
	c := client(t, bus, bluez.Config{Role: bluez.Dialer, OnNear: func(a bluez.Address) { near <- a }})
	usable(t, c)
	f.appear(true)
	f.tell(peerPath, deviceIface, props{"Connected": dbus.MakeVariant(true)})
	if a := bustest.Wait(t, near, "word of the peer"); a != peer() {
		t.Errorf("%s is near", a)
	}
	f.tell(peerPath, deviceIface, props{"Connected": dbus.MakeVariant("yes")}) // of a wrong type: unchanged
	f.tell(peerPath, deviceIface, props{"Connected": dbus.MakeVariant(false)})
	f.tell(peerPath, deviceIface, props{"Connected": dbus.MakeVariant(true)})
	bustest.Wait(t, near, "word of the peer")
	if len(near) != 0 {
		t.Errorf("the peer came %d times more than it did", len(near))
	}
}
