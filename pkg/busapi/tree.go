package busapi

import (
	"reflect"
	"strings"
	"sync"

	"github.com/godbus/dbus/v5"
)

// object is what one object path shows: an interface of ours and its
// properties, by name, as values that D-Bus knows.
type object struct {
	iface string
	props map[string]any
}

// tree holds the properties of a daemon's object and of its children, and
// tells the bus what changes. The methods below are all exported once for the
// whole subtree, before the name is claimed: godbus reads its table of objects
// without a lock when a stranger introspects, so that table must not change.
type tree struct {
	conn *dbus.Conn
	root dbus.ObjectPath

	mu      sync.Mutex // held while signals are sent, to keep them in order
	objects map[dbus.ObjectPath]object
}

func newTree(conn *dbus.Conn, root dbus.ObjectPath, iface string) *tree {
	return &tree{
		conn: conn, root: root,
		objects: map[dbus.ObjectPath]object{root: {iface: iface, props: map[string]any{}}},
	}
}

const (
	propsIface   = "org.freedesktop.DBus.Properties"
	managerIface = "org.freedesktop.DBus.ObjectManager"
)

// setRoot replaces the properties of the daemon's own object.
func (t *tree) setRoot(props map[string]any) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.put(t.root, object{iface: t.objects[t.root].iface, props: props})
}

// setChildren replaces the children of one kind ("peer", "snapshot"), by id.
func (t *tree) setChildren(kind string, children map[string]object) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	prefix := string(t.root) + "/" + kind + "/"
	want := make(map[dbus.ObjectPath]object, len(children))
	for id, o := range children {
		want[dbus.ObjectPath(prefix+pathElement(id))] = o
	}
	var first error
	for path, o := range t.objects {
		if _, keep := want[path]; !keep && strings.HasPrefix(string(path), prefix) {
			delete(t.objects, path)
			first = firstError(first, t.conn.Emit(t.root, managerIface+".InterfacesRemoved", path, []string{o.iface}))
		}
	}
	for path, o := range want {
		first = firstError(first, t.put(path, o))
	}
	return first
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// put stores one object and signals that it is new, or what of it changed.
func (t *tree) put(path dbus.ObjectPath, o object) error {
	old, known := t.objects[path]
	t.objects[path] = o
	if !known {
		return t.conn.Emit(t.root, managerIface+".InterfacesAdded", path, map[string]Dict{o.iface: o.dict()})
	}
	changed := make(Dict)
	for name, value := range o.props {
		if !reflect.DeepEqual(old.props[name], value) {
			changed[name] = dbus.MakeVariant(value)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	return t.conn.Emit(path, propsIface+".PropertiesChanged", o.iface, changed, []string{})
}

func (o object) dict() Dict {
	d := make(Dict, len(o.props))
	for name, value := range o.props {
		d[name] = dbus.MakeVariant(value)
	}
	return d
}

func (t *tree) lookup(path dbus.ObjectPath) (object, *dbus.Error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o, ok := t.objects[path]
	if !ok {
		return object{}, standardError("UnknownObject", "no such object")
	}
	return o, nil
}

// children lists what hangs below a path, as the first element below it.
func (t *tree) children(path dbus.ObjectPath) map[string]bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	below := make(map[string]bool)
	for p := range t.objects {
		if rest, ok := strings.CutPrefix(string(p), strings.TrimSuffix(string(path), "/")+"/"); ok {
			element, _, _ := strings.Cut(rest, "/")
			below[element] = true
		}
	}
	return below
}

// managed answers GetManagedObjects: the children, without the root itself.
func (t *tree) managed() map[dbus.ObjectPath]map[string]Dict {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make(map[dbus.ObjectPath]map[string]Dict)
	for path, o := range t.objects {
		if path != t.root {
			all[path] = map[string]Dict{o.iface: o.dict()}
		}
	}
	return all
}

func standardError(name, message string) *dbus.Error {
	return dbus.NewError("org.freedesktop.DBus.Error."+name, []any{message})
}
