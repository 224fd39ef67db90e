package rfcomm_test

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
	"github.com/reprovision/reprovision/pkg/link"
	"github.com/reprovision/reprovision/pkg/link/linktest"
	"github.com/reprovision/reprovision/pkg/link/rfcomm"
)

var (
	fakeDevice = link.Address{2, 0, 0, 0, 0, 0}
	fakeReader = link.Address{2, 0, 0, 0, 0, 1}
	fakeAbsent = link.Address{2, 0, 0, 0, 0, 9}
)

type party struct {
	name string
	path dbus.ObjectPath
}

// fakeBluez plays a bluetoothd with two controllers on a real bus. Its sockets
// are unix sockets, so what is special about RFCOMM is not tested with it.
type fakeBluez struct {
	conn    *dbus.Conn
	mu      sync.Mutex
	parties map[string]party // by role
}

func at(adapter string, a link.Address) dbus.ObjectPath {
	return dbus.ObjectPath("/org/bluez/" + adapter + "/dev_" + strings.ReplaceAll(a.String(), ":", "_"))
}

func startFake(t *testing.T, bus *bustest.Bus) {
	t.Helper()
	f := &fakeBluez{conn: bus.Connect(t), parties: make(map[string]party)}
	export := func(path dbus.ObjectPath, iface string, table map[string]any) {
		if err := f.conn.ExportMethodTable(table, path, "org."+iface); err != nil {
			t.Fatal(err)
		}
	}
	export("/", "freedesktop.DBus.ObjectManager", map[string]any{"GetManagedObjects": f.objects})
	export("/org/bluez", "bluez.ProfileManager1", map[string]any{"RegisterProfile": f.register, "UnregisterProfile": f.unregister})
	for _, a := range []link.Address{fakeReader, fakeAbsent} {
		export(at("hci0", a), "bluez.Device1", map[string]any{
			"ConnectProfile": func(string) *dbus.Error { return f.connect(a) },
			"Disconnect":     func() *dbus.Error { return nil },
		})
	}
	set := map[string]any{"Set": func(string, string, dbus.Variant) *dbus.Error { return nil }}
	export("/org/bluez/hci0", "freedesktop.DBus.Properties", set)
	export("/org/bluez/hci1", "freedesktop.DBus.Properties", set)
	if _, err := f.conn.RequestName("org.bluez", dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
}

func (f *fakeBluez) objects() (map[dbus.ObjectPath]map[string]map[string]dbus.Variant, *dbus.Error) {
	adapter := func(a link.Address) map[string]map[string]dbus.Variant {
		return map[string]map[string]dbus.Variant{"org.bluez.Adapter1": {
			"Address": dbus.MakeVariant(a.String()), "Powered": dbus.MakeVariant(true)}}
	}
	device := map[string]map[string]dbus.Variant{"org.bluez.Device1": {"Paired": dbus.MakeVariant(true)}}
	return map[dbus.ObjectPath]map[string]map[string]dbus.Variant{
		"/org/bluez/hci0": adapter(fakeDevice), "/org/bluez/hci1": adapter(fakeReader),
		at("hci0", fakeReader): device, at("hci0", fakeAbsent): device,
	}, nil
}

func (f *fakeBluez) register(sender dbus.Sender, path dbus.ObjectPath, _ string, options map[string]dbus.Variant) *dbus.Error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.parties[options["Role"].Value().(string)] = party{string(sender), path}
	return nil
}

func (f *fakeBluez) unregister(sender dbus.Sender, _ dbus.ObjectPath) *dbus.Error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for role, p := range f.parties {
		if p.name == string(sender) {
			delete(f.parties, role)
		}
	}
	return nil
}

func (f *fakeBluez) connect(a link.Address) *dbus.Error {
	f.mu.Lock()
	server, there := f.parties["server"]
	client := f.parties["client"]
	f.mu.Unlock()
	if a == fakeAbsent {
		return dbus.NewError("org.bluez.Error.Failed", []any{"br-connection-page-timeout"})
	}
	if !there {
		return dbus.NewError("org.bluez.Error.NotAvailable", []any{"br-connection-profile-unavailable"})
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return dbus.MakeFailedError(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	if err := f.hand(server, at("hci1", fakeDevice), fds[0]); err != nil {
		return dbus.MakeFailedError(err)
	}
	if err := f.hand(client, at("hci0", fakeReader), fds[1]); err != nil {
		return dbus.MakeFailedError(err)
	}
	return nil
}

func (f *fakeBluez) hand(to party, device dbus.ObjectPath, fd int) error {
	return f.conn.Object(to.name, to.path).
		Call("org.bluez.Profile1.NewConnection", 0, device, dbus.UnixFD(fd), map[string]dbus.Variant{}).Err
}

// pair makes both ends of the link on a bus of their own.
func pair(t *testing.T) (rfcomm.Dialer, *rfcomm.Listener) {
	t.Helper()
	bus := bustest.Start(t)
	startFake(t, bus)
	quiet := slog.New(slog.DiscardHandler)
	device := bluez.New(bluez.Config{Conn: bus.Connect(t), Role: bluez.Dialer, Adapter: "hci0", Logger: quiet})
	reader := bluez.New(bluez.Config{Conn: bus.Connect(t), Role: bluez.Server, Adapter: "hci1", Logger: quiet})
	listener := rfcomm.NewListener(reader)
	for _, run := range []func(context.Context) error{device.Run, listener.Run} {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- run(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("Run: %v", err)
			}
		})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := errors.Join(device.Wait(ctx), reader.Wait(ctx)); err != nil {
		t.Fatal(err)
	}
	return rfcomm.Dialer{Client: device}, listener
}

func TestConformanceOverFake(t *testing.T) {
	linktest.Run(t, func(t *testing.T) linktest.Pair {
		dialer, listener := pair(t)
		return linktest.Pair{Dialer: dialer, Listener: listener, Absent: fakeAbsent, Cycles: 30, Connections: 4}
	})
}

func TestAddresses(t *testing.T) {
	dialer, listener := pair(t)
	if listener.Address() != fakeReader {
		t.Errorf("the listener's address is %s", listener.Address())
	}
	conn, err := dialer.Dial(context.Background(), fakeReader)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if conn.RemoteAddr().String() != fakeReader.String() || conn.LocalAddr().String() != fakeDevice.String() ||
		conn.LocalAddr().Network() != "bluetooth" {
		t.Errorf("from %s to %s over %s", conn.LocalAddr(), conn.RemoteAddr(), conn.LocalAddr().Network())
	}
}

// TestListenerWithoutRun ends a listener that was never run.
func TestListenerWithoutRun(t *testing.T) {
	l := rfcomm.NewListener(bluez.New(bluez.Config{Logger: slog.New(slog.DiscardHandler)}))
	if !l.Address().IsZero() {
		t.Errorf("the address is %s without an adapter", l.Address())
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Run(context.Background()); err != nil {
		t.Errorf("Run after Close: %v", err)
	}
}
