package bluez

import (
	"cmp"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"
)

// objectLimit bounds how many peers and adapters are remembered: in a crowd,
// discovery finds peers without end.
const objectLimit = 4096

// properties are those of one interface of one object.
type properties map[string]dbus.Variant

// get reads a property of the expected type and leaves v as it is otherwise.
func get[T any](p properties, name string, v *T) {
	if value, ok := p[name].Value().(T); ok {
		*v = value
	}
}

// adapter is what we follow of org.bluez.Adapter1.
type adapter struct {
	path         dbus.ObjectPath
	address      Address
	alias        string
	powered      bool
	power        string // PowerState, since BlueZ 5.65
	discoverable bool
	pairable     bool
	deaf         bool // Connectable, where BlueZ has it, is false
}

func (a *adapter) update(p properties) {
	var text string
	get(p, "Address", &text)
	if address, err := parseAddress(text); err == nil {
		a.address = address
	}
	get(p, "Alias", &a.alias)
	get(p, "Powered", &a.powered)
	get(p, "PowerState", &a.power)
	get(p, "Discoverable", &a.discoverable)
	get(p, "Pairable", &a.pairable)
	connectable := !a.deaf
	get(p, "Connectable", &connectable)
	a.deaf = !connectable
}

// name is the kernel's: "hci0".
func (a adapter) name() string {
	_, last, _ := cutLast(string(a.path))
	return last
}

// is tells whether the settings mean this adapter.
func (a adapter) is(wanted string) bool {
	if wanted == "" || wanted == a.name() {
		return true
	}
	address, err := parseAddress(wanted)
	return err == nil && address == a.address
}

// device is what we follow of org.bluez.Device1.
type device struct {
	path      dbus.ObjectPath
	paired    bool
	connected bool
}

func (d *device) update(p properties) {
	get(p, "Paired", &d.paired)
	get(p, "Connected", &d.connected)
}

// tree is what BlueZ has. The zero tree is empty.
type tree struct {
	adapters map[dbus.ObjectPath]adapter
	devices  map[dbus.ObjectPath]device
}

func newTree() tree {
	return tree{adapters: make(map[dbus.ObjectPath]adapter), devices: make(map[dbus.ObjectPath]device)}
}

// put adds an interface of an object, or brings it up to date.
func (t tree) put(path dbus.ObjectPath, name string, p properties) {
	switch name {
	case adapterInterface:
		if a, known := t.adapters[path]; known || len(t.adapters) < objectLimit {
			a.path = path
			a.update(p)
			t.adapters[path] = a
		}
	case deviceInterface:
		if d, known := t.devices[path]; known || len(t.devices) < objectLimit {
			d.path = path
			d.update(p)
			t.devices[path] = d
		}
	}
}

// change brings an object up to date that is known already.
func (t tree) change(path dbus.ObjectPath, name string, p properties) {
	_, isAdapter := t.adapters[path]
	_, isDevice := t.devices[path]
	if isAdapter || isDevice {
		t.put(path, name, p)
	}
}

func (t tree) remove(path dbus.ObjectPath, interfaces []string) {
	for _, name := range interfaces {
		switch name {
		case adapterInterface:
			delete(t.adapters, path)
		case deviceInterface:
			delete(t.devices, path)
		}
	}
}

// choose is the adapter that the settings mean; of several, the first by number.
func (t tree) choose(wanted string) (adapter, bool) {
	var fit []adapter
	for _, a := range t.adapters {
		if a.is(wanted) {
			fit = append(fit, a)
		}
	}
	if len(fit) == 0 {
		return adapter{}, false
	}
	return slices.MinFunc(fit, func(a, b adapter) int {
		return cmp.Or(cmp.Compare(len(a.path), len(b.path)), strings.Compare(string(a.path), string(b.path)))
	}), true
}
