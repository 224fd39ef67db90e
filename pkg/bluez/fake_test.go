package bluez_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/bluez"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
)

const patience = 20 * time.Second

const (
	adapterPath               = dbus.ObjectPath("/org/bluez/hci0")
	peerPath                  = adapterPath + "/dev_02_00_00_00_00_02"
	adapterIface, deviceIface = "org.bluez.Adapter1", "org.bluez.Device1"
	propertiesIface           = "org.freedesktop.DBus.Properties"
	managerIface              = "org.freedesktop.DBus.ObjectManager"
)

func own() bluez.Address  { return bluez.Address{2, 0, 0, 0, 0, 1} }
func peer() bluez.Address { return bluez.Address{2, 0, 0, 0, 0, 2} }

type props map[string]dbus.Variant

// fake plays bluetoothd, on a real bus, for what the real one cannot be made to
// do at will. It has one adapter, and a peer that appears with discovery.
type fake struct {
	t    testing.TB
	conn *dbus.Conn

	mu       sync.Mutex
	adapter  props
	device   props // nil: not known
	calls    []string
	fail     map[string]*dbus.Error // answers of methods
	profile  dbus.ObjectPath
	client   string // who registered it
	agent    dbus.ObjectPath
	ends     []int // our ends of sockets
	hang     map[string]bool
	heal     map[string]string // by a method, which other one fails no longer once it was called
	noSocket bool
}

func newFake(t testing.TB, bus *bustest.Bus) *fake {
	t.Helper()
	f := &fake{
		t: t, conn: bus.Connect(t), fail: make(map[string]*dbus.Error), hang: make(map[string]bool),
		adapter: props{
			"Address": dbus.MakeVariant(own().String()), "Alias": dbus.MakeVariant("old"), "Powered": dbus.MakeVariant(true),
			"Discoverable": dbus.MakeVariant(false), "Pairable": dbus.MakeVariant(true), "Connectable": dbus.MakeVariant(false),
			"PowerState": dbus.MakeVariant("on"), "Class": dbus.MakeVariant("of a wrong type"),
		},
	}
	f.export()
	f.start()
	t.Cleanup(func() {
		for _, fd := range f.ends {
			_ = unix.Close(fd)
		}
	})
	return f
}

func (f *fake) start() {
	if _, err := f.conn.RequestName("org.bluez", dbus.NameFlagDoNotQueue); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fake) stop() {
	if _, err := f.conn.ReleaseName("org.bluez"); err != nil {
		f.t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.profile, f.agent, f.device = "", "", nil
}

func (f *fake) export() {
	tables := []struct {
		path  dbus.ObjectPath
		iface string
		table map[string]any
	}{
		{"/", managerIface, map[string]any{"GetManagedObjects": f.managed}},
		{"/org/bluez", "org.bluez.ProfileManager1", map[string]any{
			"RegisterProfile":   f.registerProfile,
			"UnregisterProfile": func(dbus.ObjectPath) *dbus.Error { return f.note("UnregisterProfile") },
		}},
		{"/org/bluez", "org.bluez.AgentManager1", map[string]any{
			"RegisterAgent":       f.registerAgent,
			"RequestDefaultAgent": func(dbus.ObjectPath) *dbus.Error { return f.note("RequestDefaultAgent") },
			"UnregisterAgent":     f.unregisterAgent,
		}},
		{adapterPath, adapterIface, map[string]any{
			"SetDiscoveryFilter": func(map[string]dbus.Variant) *dbus.Error { return f.note("SetDiscoveryFilter") },
			"StartDiscovery":     f.startDiscovery,
			"StopDiscovery":      func() *dbus.Error { return f.note("StopDiscovery") },
			"RemoveDevice":       f.removeDevice,
		}},
		{adapterPath, propertiesIface, map[string]any{"Set": f.set}},
		{peerPath, deviceIface, map[string]any{
			"Pair":           f.pair,
			"CancelPairing":  func() *dbus.Error { return f.note("CancelPairing") },
			"ConnectProfile": f.connectProfile,
			"Disconnect":     func() *dbus.Error { return f.note("Disconnect") },
		}},
	}
	for _, x := range tables {
		if err := f.conn.ExportMethodTable(x.table, x.path, x.iface); err != nil {
			f.t.Fatal(err)
		}
	}
}

// note records a call and says how it ends. A method that hangs does so until
// the test is over.
func (f *fake) note(method string) *dbus.Error {
	f.mu.Lock()
	f.calls = append(f.calls, method)
	err, hang, heal := f.fail[method], f.hang[method], f.heal[method]
	delete(f.fail, heal)
	f.mu.Unlock()
	if hang {
		<-f.conn.Context().Done()
	}
	return err
}

func (f *fake) failing(method, name, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if name == "" {
		delete(f.fail, method)
		return
	}
	f.fail[method] = dbus.NewError(name, []any{text})
}

// heals has a method fail no longer once another one has been called.
func (f *fake) heals(method, failing string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heal = map[string]string{method: failing}
}

func (f *fake) did(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if c == method {
			n++
		}
	}
	return n
}

func (f *fake) managed() (map[dbus.ObjectPath]map[string]props, *dbus.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	objects := map[dbus.ObjectPath]map[string]props{}
	if f.adapter != nil {
		objects[adapterPath] = map[string]props{adapterIface: clone(f.adapter)}
	}
	if f.device != nil {
		objects[peerPath] = map[string]props{deviceIface: clone(f.device)}
	}
	return objects, nil
}

func clone(p props) props {
	c := make(props, len(p))
	for k, v := range p {
		c[k] = v
	}
	return c
}

func (f *fake) registerProfile(sender dbus.Sender, path dbus.ObjectPath, uuid string, options map[string]dbus.Variant) *dbus.Error {
	if err := f.note("RegisterProfile"); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.profile, f.client = path, string(sender)
	if options["Service"].Value() != bluez.ProfileUUID || uuid == bluez.ProfileUUID {
		f.t.Errorf("registered under %s with %v", uuid, options)
	}
	return nil
}

func (f *fake) registerAgent(path dbus.ObjectPath, capability string) *dbus.Error {
	if capability != "NoInputNoOutput" {
		f.t.Errorf("the agent's capability is %q", capability)
	}
	f.mu.Lock()
	f.agent = path
	f.mu.Unlock()
	return f.note("RegisterAgent")
}

func (f *fake) unregisterAgent(dbus.ObjectPath) *dbus.Error {
	f.mu.Lock()
	f.agent = ""
	f.mu.Unlock()
	return f.note("UnregisterAgent")
}

// locked reads or changes the fake's fields.
func (f *fake) locked(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

// has is a property of the adapter.
func (f *fake) has(name string) any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.adapter[name].Value()
}

func (f *fake) snapshot() props {
	f.mu.Lock()
	defer f.mu.Unlock()
	return clone(f.adapter)
}

// registrant is who registered the profile, and where.
func (f *fake) registrant() (client string, profile dbus.ObjectPath) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.client, f.profile
}

func (f *fake) agentPath() dbus.ObjectPath {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.agent
}

func (f *fake) set(iface, name string, v dbus.Variant) *dbus.Error {
	if err := f.note("Set " + name); err != nil {
		return err
	}
	f.mu.Lock()
	f.adapter[name] = v
	f.mu.Unlock()
	f.tell(adapterPath, iface, props{name: v})
	return nil
}

// tell changes properties as BlueZ announces them.
func (f *fake) tell(path dbus.ObjectPath, iface string, p props) {
	if err := f.conn.Emit(path, propertiesIface+".PropertiesChanged", iface, p, []string{}); err != nil {
		f.t.Error(err)
	}
}

// heard returns when a client has taken up all that was told so far: it takes
// signals in their order, and these two show in its state.
func (f *fake) heard(c *bluez.Client) {
	f.t.Helper()
	f.tell(adapterPath, adapterIface, props{"Powered": dbus.MakeVariant(false)})
	bustest.Until(f.t, "an adapter without power", func() bool { return c.State().Err() != nil })
	f.tell(adapterPath, adapterIface, props{"Powered": dbus.MakeVariant(true)})
	usable(f.t, c)
}

func (f *fake) startDiscovery() *dbus.Error {
	if err := f.note("StartDiscovery"); err != nil {
		return err
	}
	f.mu.Lock()
	paired := f.device["Paired"].Value() == true
	f.mu.Unlock()
	f.appear(paired)
	return nil
}

// appear makes the peer known.
func (f *fake) appear(paired bool) {
	p := props{"Address": dbus.MakeVariant(peer().String()), "Paired": dbus.MakeVariant(paired), "Connected": dbus.MakeVariant(false)}
	f.mu.Lock()
	f.device = clone(p)
	f.mu.Unlock()
	if err := f.conn.Emit("/", managerIface+".InterfacesAdded", peerPath, map[string]props{deviceIface: p}); err != nil {
		f.t.Error(err)
	}
}

func (f *fake) removeDevice(path dbus.ObjectPath) *dbus.Error {
	if err := f.note("RemoveDevice"); err != nil {
		return err
	}
	f.mu.Lock()
	f.device = nil
	f.mu.Unlock()
	if err := f.conn.Emit("/", managerIface+".InterfacesRemoved", path, []string{deviceIface}); err != nil {
		f.t.Error(err)
	}
	return nil
}

func (f *fake) pair() *dbus.Error {
	if err := f.note("Pair"); err != nil {
		return err
	}
	f.locked(func() { f.device["Paired"] = dbus.MakeVariant(true) })
	f.tell(peerPath, deviceIface, props{"Paired": dbus.MakeVariant(true)})
	return nil
}

func (f *fake) connectProfile(uuid string) *dbus.Error {
	if uuid != bluez.ProfileUUID {
		f.t.Errorf("ConnectProfile(%q)", uuid)
	}
	err := f.note("ConnectProfile")
	f.mu.Lock()
	done := err != nil || f.noSocket
	f.mu.Unlock()
	if done {
		return err
	}
	return f.hand(peerPath)
}

// hand gives the client a socket, as Profile1.NewConnection does.
func (f *fake) hand(device dbus.ObjectPath) *dbus.Error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return dbus.MakeFailedError(err)
	}
	f.mu.Lock()
	f.ends = append(f.ends, fds[0])
	f.mu.Unlock()
	client, profile := f.registrant()
	err = f.conn.Object(client, profile).Call("org.bluez.Profile1.NewConnection", 0, device, dbus.UnixFD(fds[1]), props{}).Err
	_ = unix.Close(fds[1])
	var answer dbus.Error
	if errors.As(err, &answer) {
		return &answer
	}
	return nil
}

// client runs a client on the bus until the test ends.
func client(t testing.TB, bus *bustest.Bus, cfg bluez.Config) *bluez.Client {
	t.Helper()
	cfg.Conn, cfg.Logger = bus.Connect(t), slog.New(slog.DiscardHandler)
	c := bluez.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
	return c
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func usable(t testing.TB, c *bluez.Client) {
	t.Helper()
	if err := c.Wait(within(t)); err != nil {
		t.Fatal(err)
	}
}

func stateIs(t testing.TB, c *bluez.Client, want error) {
	t.Helper()
	bustest.Until(t, "the state "+strings.TrimSpace(errorText(want)), func() bool { return errors.Is(c.State().Err(), want) })
}

func errorText(err error) string {
	if err == nil {
		return "usable"
	}
	return err.Error()
}
