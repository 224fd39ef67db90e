package busapi_test

import (
	"encoding/xml"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/introspect"
	"github.com/google/go-cmp/cmp"

	busfiles "github.com/reprovision/reprovision/dbus"
	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
)

// signatures maps each method to its arguments, in and out.
func signatures(methods []introspect.Method) map[string][2]string {
	out := make(map[string][2]string)
	for _, m := range methods {
		var in, back string
		for _, a := range m.Args {
			if a.Direction == "out" {
				back += a.Type
			} else {
				in += a.Type
			}
		}
		out[m.Name] = [2]string{in, back}
	}
	return out
}

// tableSignatures is the same for a table of Go functions.
func tableSignatures(table map[string]any) map[string][2]string {
	out := make(map[string][2]string)
	for name, fn := range table {
		t := reflect.TypeOf(fn)
		var in, back string
		for i := range t.NumIn() {
			if t.In(i) != reflect.TypeFor[dbus.Sender]() && t.In(i) != reflect.TypeFor[dbus.Message]() {
				in += dbus.SignatureOfType(t.In(i)).String()
			}
		}
		for i := range t.NumOut() - 1 {
			back += dbus.SignatureOfType(t.Out(i)).String()
		}
		out[name] = [2]string{in, back}
	}
	return out
}

func described(t *testing.T, iface string) introspect.Interface {
	t.Helper()
	text, err := busfiles.Introspection(iface)
	if err != nil {
		t.Fatal(err)
	}
	var node introspect.Node
	if err := xml.Unmarshal([]byte(text), &node); err != nil {
		t.Fatal(err)
	}
	if len(node.Interfaces) != 1 || node.Interfaces[0].Name != iface {
		t.Fatalf("the file of %s describes %v", iface, node.Interfaces)
	}
	return node.Interfaces[0]
}

func TestDescriptionsMatchWhatIsExported(t *testing.T) {
	for iface, table := range map[string]map[string]any{
		busfiles.DeviceInterface: busapi.NewDevice(nil, nil, nil).Methods(),
		busfiles.ReaderInterface: busapi.NewReader(nil, nil, nil).Methods(),
		busfiles.AgentInterface:  busapi.AgentMethods(),
	} {
		if diff := cmp.Diff(signatures(described(t, iface).Methods), tableSignatures(table)); diff != "" {
			t.Errorf("%s: %s", iface, diff)
		}
	}
}

func propertyTypes(i introspect.Interface) map[string]string {
	out := make(map[string]string)
	for _, p := range i.Properties {
		out[p.Name] = p.Type + " " + p.Access
	}
	return out
}

// find returns one interface of an object as it describes itself on the bus.
func find(t *testing.T, node *introspect.Node, iface string) introspect.Interface {
	t.Helper()
	for _, i := range node.Interfaces {
		if i.Name == iface {
			return i
		}
	}
	t.Fatalf("%s does not describe %s", node.Name, iface)
	return introspect.Interface{}
}

// Each object describes its interface as the file does, and has exactly the
// described properties, of the described types.
func TestObjectsOnTheBus(t *testing.T) {
	bus := bustest.Start(t)
	bus.ServeDevice(t, &bustest.Device{DeviceValues: deviceValues()})
	bus.ServeReader(t, &bustest.Reader{ReaderValues: readerValues()})
	if _, err := dialDevice(t, bus).Snapshots(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn := bus.Connect(t)
	for _, c := range []struct{ name, path, iface string }{
		{busapi.DeviceName, "/org/reprovision/Device", busfiles.DeviceInterface},
		{busapi.DeviceName, "/org/reprovision/Device/peer/00ff", busfiles.PeerInterface},
		{busapi.DeviceName, "/org/reprovision/Device/snapshot/s_2d1", busfiles.SnapshotInterface},
		{busapi.ReaderName, "/org/reprovision/Reader", busfiles.ReaderInterface},
		{busapi.ReaderName, "/org/reprovision/Reader/peer/aa", busfiles.PeerInterface},
	} {
		object := conn.Object(c.name, dbus.ObjectPath(c.path))
		node, err := introspect.Call(object)
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		want := described(t, c.iface)
		got := find(t, node, c.iface)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", c.path, diff)
		}
		all := object.Call("org.freedesktop.DBus.Properties.GetAll", 0, c.iface)
		if all.Err != nil {
			t.Errorf("%s: %v", c.path, all.Err)
			continue
		}
		props, _ := all.Body[0].(map[string]dbus.Variant) // Store would lose the types within
		types := make(map[string]string)
		for name, v := range props {
			types[name] = v.Signature().String() + " read"
		}
		if diff := cmp.Diff(propertyTypes(want), types); diff != "" {
			t.Errorf("%s: %s", c.path, diff)
		}
	}
}

// From the root of the bus tools find the way to every object.
func TestWayDown(t *testing.T) {
	bus := bustest.Start(t)
	bus.ServeDevice(t, &bustest.Device{DeviceValues: deviceValues()})
	conn := bus.Connect(t)
	path := "/"
	for _, element := range []string{"org", "reprovision", "Device", "peer", "00ff"} {
		node, err := introspect.Call(conn.Object(busapi.DeviceName, dbus.ObjectPath(path)))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		var names []string
		for _, n := range node.Children {
			names = append(names, n.Name)
		}
		if !slices.Contains(names, element) {
			t.Fatalf("%s has %v below it, not %s", path, names, element)
		}
		if path != "/" {
			path += "/"
		}
		path += element
	}
	_, err := introspect.Call(conn.Object(busapi.DeviceName, "/org/reprovision/Device/peer/none"))
	if err == nil {
		t.Error("an object that is not there describes itself")
	}
}

func TestProperties(t *testing.T) {
	bus := bustest.Start(t)
	bus.ServeDevice(t, &bustest.Device{DeviceValues: deviceValues()})
	conn := bus.Connect(t)
	object := conn.Object(busapi.DeviceName, busapi.DevicePath)
	if v, err := object.GetProperty("org.reprovision.Device1.Paired"); err != nil || v.Value() != true {
		t.Errorf("Paired is %v, %v", v, err)
	}
	for want, call := range map[string]*dbus.Call{
		"PropertyReadOnly": object.Call("org.freedesktop.DBus.Properties.Set", 0, "org.reprovision.Device1", "Paired", dbus.MakeVariant(false)),
		"UnknownProperty":  object.Call("org.freedesktop.DBus.Properties.Get", 0, "org.reprovision.Device1", "Passcode"),
		"UnknownInterface": object.Call("org.freedesktop.DBus.Properties.GetAll", 0, "org.example"),
		"UnknownObject": conn.Object(busapi.DeviceName, "/org/reprovision/Device/peer/x").
			Call("org.freedesktop.DBus.Properties.GetAll", 0, "org.reprovision.Peer1"),
	} {
		var e dbus.Error
		if !errors.As(call.Err, &e) || e.Name != "org.freedesktop.DBus.Error."+want {
			t.Errorf("got %v, want %s", call.Err, want)
		}
	}
}

// await reads signals until one has the name.
func await(t *testing.T, signals <-chan *dbus.Signal, name string) *dbus.Signal {
	t.Helper()
	for {
		if s := bustest.Wait(t, signals, name); s.Name == name {
			return s
		}
	}
}

func TestChangesAreSignalled(t *testing.T) {
	bus := bustest.Start(t)
	backend := &bustest.Device{DeviceValues: deviceValues()}
	d, _ := bus.ServeDevice(t, backend)
	conn := bus.Connect(t)
	signals := make(chan *dbus.Signal, 100)
	conn.Signal(signals)
	if err := conn.AddMatchSignal(dbus.WithMatchPathNamespace(busapi.DevicePath)); err != nil {
		t.Fatal(err)
	}
	backend.Set(func(v *bustest.DeviceValues) { v.State.InRange, v.State.Waiting = false, "the passcode" })
	d.Refresh()
	s := await(t, signals, "org.freedesktop.DBus.Properties.PropertiesChanged")
	want := busapi.Dict{"InRange": dbus.MakeVariant(false), "Waiting": dbus.MakeVariant("the passcode")}
	if s.Path != busapi.DevicePath || !reflect.DeepEqual(s.Body, []any{"org.reprovision.Device1", want, []string{}}) {
		t.Errorf("got %s %v", s.Path, s.Body)
	}
	if _, err := dialDevice(t, bus).Snapshots(t.Context()); err != nil {
		t.Fatal(err)
	}
	s = await(t, signals, "org.freedesktop.DBus.ObjectManager.InterfacesAdded")
	if s.Body[0] != dbus.ObjectPath("/org/reprovision/Device/snapshot/s_2d1") {
		t.Errorf("added %v", s.Body)
	}
	backend.Set(func(v *bustest.DeviceValues) { v.State.Paired, v.State.Reader = false, nil })
	d.Refresh()
	gone := []string{}
	for range 2 {
		s = await(t, signals, "org.freedesktop.DBus.ObjectManager.InterfacesRemoved")
		gone = append(gone, string(s.Body[0].(dbus.ObjectPath)))
	}
	if want := []string{"/org/reprovision/Device/peer/00ff", "/org/reprovision/Device/snapshot/s_2d1"}; !slices.Equal(gone, want) {
		t.Errorf("removed %v, want %v", gone, want)
	}
}

func TestManagedObjects(t *testing.T) {
	bus := bustest.Start(t)
	bus.ServeReader(t, &bustest.Reader{ReaderValues: readerValues()})
	var objects map[dbus.ObjectPath]map[string]busapi.Dict
	object := bus.Connect(t).Object(busapi.ReaderName, busapi.ReaderPath)
	if err := object.Call("org.freedesktop.DBus.ObjectManager.GetManagedObjects", 0).Store(&objects); err != nil {
		t.Fatal(err)
	}
	peer := objects["/org/reprovision/Reader/peer/aa"]["org.reprovision.Peer1"]
	if len(objects) != 1 || peer["Name"].Value() != "phone" {
		t.Errorf("got %v", objects)
	}
}
