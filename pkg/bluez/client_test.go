package bluez_test

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/reprovision/reprovision/pkg/bluez"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
)

func TestWithoutBluetoothd(t *testing.T) {
	bus := bustest.Start(t)
	states := make(chan bluez.State, 64)
	c := client(t, bus, bluez.Config{Role: bluez.Dialer, OnState: func(s bluez.State) { states <- s }})
	if _, err := c.Dial(within(t), peer()); !errors.Is(err, bluez.ErrNotRunning) {
		t.Errorf("Dial: %v; want ErrNotRunning", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := c.Wait(ctx); !errors.Is(err, bluez.ErrNotRunning) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Wait: %v", err)
	}
	f := newFake(t, bus)
	usable(t, c)
	if s := c.State(); s.Adapter != "hci0" || s.Address != own() || !s.Powered {
		t.Errorf("state %+v", s)
	}
	f.stop()
	stateIs(t, c, bluez.ErrNotRunning)
	f.start() // a new bluetoothd knows no profile
	usable(t, c)
	if n := f.did("RegisterProfile"); n != 2 {
		t.Errorf("the profile was registered %d times; want 2", n)
	}
	for want := true; want; {
		want = bustest.Wait(t, states, "a usable state").Err() != nil
	}
}

func TestAdapterComesAndGoes(t *testing.T) {
	bus := bustest.Start(t)
	f := newFake(t, bus)
	c := client(t, bus, bluez.Config{Role: bluez.Dialer, Adapter: own().String()})
	usable(t, c)
	f.tell(adapterPath, adapterIface, props{"Powered": dbus.MakeVariant(false), "PowerState": dbus.MakeVariant("off")})
	stateIs(t, c, bluez.ErrPoweredOff)
	f.tell(adapterPath, adapterIface, props{"PowerState": dbus.MakeVariant("off-blocked")})
	stateIs(t, c, bluez.ErrBlocked)
	if err := f.conn.Emit("/", managerIface+".InterfacesRemoved", adapterPath, []string{adapterIface}); err != nil {
		t.Fatal(err)
	}
	stateIs(t, c, bluez.ErrNoAdapter)
	f.tell(adapterPath, adapterIface, props{"Powered": dbus.MakeVariant(true)}) // of an adapter that is gone
	if err := f.conn.Emit("/", managerIface+".InterfacesAdded", adapterPath, map[string]props{adapterIface: f.snapshot()}); err != nil {
		t.Fatal(err)
	}
	usable(t, c)
}

// TestStrangersAreIgnored has somebody else send what bluetoothd sends.
func TestStrangersAreIgnored(t *testing.T) {
	bus := bustest.Start(t)
	f := newFake(t, bus)
	c := client(t, bus, bluez.Config{Role: bluez.Server})
	usable(t, c)
	stranger := bus.Connect(t)
	name, profile := f.registrant()
	off := props{"Powered": dbus.MakeVariant(false)}
	if err := stranger.Emit(adapterPath, propertiesIface+".PropertiesChanged", adapterIface, off, []string{}); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	call := stranger.Object(name, profile).Call("org.bluez.Profile1.NewConnection", 0, peerPath, dbus.UnixFD(w.Fd()), props{})
	var answer dbus.Error
	if !errors.As(call.Err, &answer) || answer.Name != "org.bluez.Error.Rejected" {
		t.Errorf("a stranger's connection: %v", call.Err)
	}
	_ = w.Close()
	if b, err := io.ReadAll(r); err != nil || len(b) != 0 { // ends only when the client's copy is closed, too
		t.Errorf("read %q, %v", b, err)
	}
	if err := c.State().Err(); err != nil {
		t.Errorf("a stranger switched the adapter off: %v", err)
	}
}

// TestServerIsStartingUntilPeersReachIt has bluetoothd refuse to let the adapter
// listen. A peer that pages before it does would find nobody.
func TestServerIsStartingUntilPeersReachIt(t *testing.T) {
	bus := bustest.Start(t)
	f := newFake(t, bus)
	f.failing("Set Connectable", "org.bluez.Error.Failed", "")
	server := client(t, bus, bluez.Config{Role: bluez.Server})
	bustest.Until(t, "an attempt", func() bool { return f.did("Set Connectable") > 0 })
	if err := server.State().Err(); !errors.Is(err, bluez.ErrStarting) {
		t.Errorf("deaf, the state is %v; want ErrStarting", err)
	}
	f.locked(func() { delete(f.fail, "Set Connectable") })
	usable(t, server)
	if f.has("Connectable") != true {
		t.Error("the adapter is said to be usable and does not listen")
	}
}

func TestServerSettings(t *testing.T) {
	bus := bustest.Start(t)
	f := newFake(t, bus)
	f.locked(func() { f.adapter["Powered"] = dbus.MakeVariant(false) })
	c := client(t, bus, bluez.Config{Role: bluez.Server, Power: true, Name: "reader"})
	usable(t, c)
	is := func(name string, want any) {
		t.Helper()
		bustest.Until(t, name, func() bool { return f.has(name) == want })
	}
	is("Alias", "reader")
	is("Pairable", false) // as it was found, it was not
	is("Connectable", true)
	if err := c.Show(within(t), time.Hour); err != nil {
		t.Fatal(err)
	}
	is("Discoverable", true)
	is("Pairable", true)
	if n, ok := f.has("DiscoverableTimeout").(uint32); !ok || n < 3500 || n > 3601 {
		t.Errorf("DiscoverableTimeout is %v; want about 3600", f.has("DiscoverableTimeout"))
	}
	if f.agentPath() == "" {
		t.Error("there is no agent in the window")
	}
	f.stop() // a restart in the window
	f.locked(func() { f.adapter["Discoverable"] = dbus.MakeVariant(false) })
	f.start()
	is("Discoverable", true)
	bustest.Until(t, "the agent", func() bool { return f.agentPath() != "" })
	if err := c.Hide(within(t)); err != nil {
		t.Fatal(err)
	}
	is("Discoverable", false)
	is("Pairable", false)
	if f.agentPath() != "" {
		t.Error("the agent outlives the window")
	}
	// An owner who switches the adapter off is obeyed.
	before := f.did("Set Powered")
	f.tell(adapterPath, adapterIface, props{"Powered": dbus.MakeVariant(false)})
	stateIs(t, c, bluez.ErrPoweredOff)
	if err := c.Show(within(t), time.Hour); !errors.Is(err, bluez.ErrPoweredOff) {
		t.Errorf("Show: %v", err)
	}
	if n := f.did("Set Powered"); before != 1 || n != 1 {
		t.Errorf("Powered was set %d, then %d times; want once", before, n)
	}
}

func TestAgentAnswersForExpectedPeers(t *testing.T) {
	bus := bustest.Start(t)
	f := newFake(t, bus)
	c := client(t, bus, bluez.Config{Role: bluez.Server})
	usable(t, c)
	ask := func(method string, args ...any) error {
		client, _ := f.registrant()
		return f.conn.Object(client, "/org/reprovision/bluez/agent").Call("org.bluez.Agent1."+method, 0, args...).Err
	}
	if ask("RequestAuthorization", peerPath) == nil {
		t.Error("the agent let somebody in outside the window")
	}
	f.appear(false)
	c.Expect(peer())
	f.tell(peerPath, deviceIface, props{"Connected": dbus.MakeVariant(true)})
	bustest.Until(t, "an agent for the expected peer", func() bool { return f.agentPath() != "" })
	if err := ask("RequestAuthorization", peerPath); err != nil {
		t.Errorf("the expected peer: %v", err)
	}
	for name, err := range map[string]error{
		"another peer":       ask("RequestConfirmation", adapterPath+"/dev_02_00_00_00_00_03", uint32(1)),
		"another adapter":    ask("RequestAuthorization", dbus.ObjectPath("/org/bluez/hci1/dev_02_00_00_00_00_02")),
		"no device":          ask("RequestAuthorization", adapterPath),
		"a code":             ask("RequestPasskey", peerPath),
		"a PIN":              ask("RequestPinCode", peerPath),
		"a displayed code":   ask("DisplayPasskey", peerPath, uint32(1), uint16(0)),
		"a displayed PIN":    ask("DisplayPinCode", peerPath, "1"),
		"another's service":  ask("AuthorizeService", peerPath, "0000110b-0000-1000-8000-00805f9b34fb"),
		"wrong kinds of arg": ask("RequestConfirmation", "x"),
	} {
		if err == nil {
			t.Errorf("the agent agreed to %s", name)
		}
	}
	if err := ask("AuthorizeService", peerPath, bluez.ProfileUUID); err != nil {
		t.Errorf("our service: %v", err)
	}
	f.tell(peerPath, deviceIface, props{"Connected": dbus.MakeVariant(false)})
	bustest.Until(t, "the agent's end", func() bool { return f.agentPath() == "" })
	if err := c.Show(within(t), time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := ask("RequestConfirmation", adapterPath+"/dev_02_00_00_00_00_03", uint32(1)); err != nil {
		t.Errorf("anybody in the window: %v", err)
	}
}

// TestServerDropsABondThatDoesNotHold has a bonded, expected peer come and go
// without a connection, and others do so that are none of our business.
func TestServerDropsABondThatDoesNotHold(t *testing.T) {
	bus := bustest.Start(t)
	f := newFake(t, bus)
	f.locked(func() {
		f.device = props{"Paired": dbus.MakeVariant(true), "Connected": dbus.MakeVariant(true)}
	})
	c := client(t, bus, bluez.Config{Role: bluez.Server})
	usable(t, c)
	c.Expect(peer())
	leaves := func() {
		f.tell(peerPath, deviceIface, props{"Connected": dbus.MakeVariant(false)})
		f.heard(c)
	}
	leaves() // from a visit that we did not see begin
	c.Expect()
	visit := func(during func()) {
		f.tell(peerPath, deviceIface, props{"Connected": dbus.MakeVariant(true)})
		during()
		leaves()
	}
	visit(func() {}) // not expected
	c.Expect(peer())
	visit(func() {
		if err := f.hand(peerPath); err != nil {
			t.Errorf("NewConnection: %v", err)
		}
		s, err := c.Accept(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if s.Peer != peer() || s.Local != own() {
			t.Errorf("a socket from %s to %s", s.Peer, s.Local)
		}
		bluez.HangUp(s.File)
	})
	if n := f.did("RemoveDevice"); n != 0 {
		t.Fatalf("%d bonds were removed", n)
	}
	visit(func() {})
	bustest.Until(t, "the removal of the bond", func() bool { return f.did("RemoveDevice") == 1 })
}

// TestManyWaitingConnections bounds those that nobody accepts, and closes all of
// them in the end.
func TestManyWaitingConnections(t *testing.T) {
	bus := bustest.Start(t)
	f := newFake(t, bus)
	c := client(t, bus, bluez.Config{Role: bluez.Server})
	usable(t, c)
	refused := 0
	for range 20 {
		if f.hand(peerPath) != nil {
			refused++
		}
	}
	if refused != 12 {
		t.Errorf("%d of 20 were refused; want 12", refused)
	}
	if f.hand("/org/bluez/hci1/dev_02_00_00_00_00_02") == nil || f.hand("/org/bluez/hci0") == nil {
		t.Error("a connection of another adapter was taken")
	}
}

// TestRunEndsAll runs a client many times and sees nothing stay behind.
func TestRunEndsAll(t *testing.T) {
	bus := bustest.Start(t)
	f := newFake(t, bus)
	c := bluez.New(bluez.Config{Role: bluez.Server, Conn: bus.Connect(t), Logger: bustest.Quiet()})
	once := func() {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		usable(t, c)
		if err := c.Show(within(t), time.Hour); err != nil {
			t.Error(err)
		}
		_ = f.hand(peerPath)
		cancel()
		if err := bustest.Wait(t, done, "the end of Run"); !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
		if !errors.Is(c.State().Err(), bluez.ErrNotRunning) {
			t.Errorf("after Run: %v", c.State().Err())
		}
	}
	once()
	before := runtime.NumGoroutine()
	for range 10 {
		once()
	}
	bustest.Until(t, "the end of all goroutines", func() bool { return runtime.NumGoroutine() <= before+2 })
	if f.has("Discoverable") != false || f.agentPath() != "" || f.did("UnregisterProfile") != 11 {
		t.Errorf("discoverable %v, agent %q, unregistered %d times", f.has("Discoverable"), f.agentPath(), f.did("UnregisterProfile"))
	}
}
