package busapi

import (
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/introspect"
	"github.com/godbus/dbus/v5/prop"

	busfiles "github.com/reprovision/reprovision/dbus"
)

const introspectIface = "org.freedesktop.DBus.Introspectable"

// export puts the whole subtree on the bus: the daemon's methods and
// ObjectManager at the root, Properties and Introspectable everywhere, and
// Introspectable above it, so that tools find the way down.
func (t *tree) export(methods map[string]any) error {
	describe, err := newDescriber(t)
	if err != nil {
		return err
	}
	root := t.objects[t.root].iface
	if err := t.conn.ExportMethodTable(methods, t.root, root); err != nil {
		return err
	}
	manager := map[string]any{"GetManagedObjects": func() (map[dbus.ObjectPath]map[string]Dict, *dbus.Error) {
		return t.managed(), nil
	}}
	if err := t.conn.ExportMethodTable(manager, t.root, managerIface); err != nil {
		return err
	}
	if err := t.conn.ExportSubtreeMethodTable(t.propertyMethods(), t.root, propsIface); err != nil {
		return err
	}
	table := map[string]any{"Introspect": describe.introspect}
	if err := t.conn.ExportSubtreeMethodTable(table, t.root, introspectIface); err != nil {
		return err
	}
	for _, path := range ancestors(t.root) {
		if err := t.conn.ExportMethodTable(table, path, introspectIface); err != nil {
			return err
		}
	}
	return nil
}

// ancestors lists the paths above one, "/" included.
func ancestors(path dbus.ObjectPath) []dbus.ObjectPath {
	up := []dbus.ObjectPath{"/"}
	elements := strings.Split(strings.Trim(string(path), "/"), "/")
	for i := 1; i < len(elements); i++ {
		up = append(up, dbus.ObjectPath("/"+strings.Join(elements[:i], "/")))
	}
	return up
}

func pathOf(msg dbus.Message) dbus.ObjectPath {
	path, _ := msg.Headers[dbus.FieldPath].Value().(dbus.ObjectPath)
	return path
}

func (t *tree) propertyMethods() map[string]any {
	return map[string]any{
		"Get": func(msg dbus.Message, iface, name string) (dbus.Variant, *dbus.Error) {
			props, err := t.properties(pathOf(msg), iface)
			if err != nil {
				return dbus.MakeVariant(""), err
			}
			value, ok := props[name]
			if !ok {
				return dbus.MakeVariant(""), standardError("UnknownProperty", "no such property")
			}
			return value, nil
		},
		"GetAll": func(msg dbus.Message, iface string) (Dict, *dbus.Error) {
			return t.properties(pathOf(msg), iface)
		},
		"Set": func(msg dbus.Message, iface, name string, _ dbus.Variant) *dbus.Error {
			if _, err := t.properties(pathOf(msg), iface); err != nil {
				return err
			}
			return standardError("PropertyReadOnly", "every property is read-only")
		},
	}
}

func (t *tree) properties(path dbus.ObjectPath, iface string) (Dict, *dbus.Error) {
	o, err := t.lookup(path)
	if err != nil {
		return nil, err
	}
	switch iface {
	case o.iface:
		return o.dict(), nil
	case propsIface, introspectIface, managerIface:
		return Dict{}, nil
	}
	return nil, standardError("UnknownInterface", "the object has no such interface")
}

// describer answers Introspect from the XML that package dbus embeds.
type describer struct {
	tree   *tree
	ifaces map[string]introspect.Interface
}

func newDescriber(t *tree) (*describer, error) {
	d := &describer{tree: t, ifaces: make(map[string]introspect.Interface)}
	for _, name := range []string{
		busfiles.DeviceInterface, busfiles.ReaderInterface, busfiles.SnapshotInterface, busfiles.PeerInterface,
	} {
		text, err := busfiles.Introspection(name)
		if err != nil {
			return nil, err
		}
		var node introspect.Node
		if err := xml.Unmarshal([]byte(text), &node); err != nil || len(node.Interfaces) != 1 {
			return nil, fmt.Errorf("cannot read the description of %s: %w", name, err)
		}
		d.ifaces[name] = node.Interfaces[0]
	}
	return d, nil
}

func (d *describer) introspect(msg dbus.Message) (string, *dbus.Error) {
	path := pathOf(msg)
	node := introspect.Node{}
	if o, err := d.tree.lookup(path); err == nil {
		node.Interfaces = append(node.Interfaces, d.ifaces[o.iface], prop.IntrospectData)
	}
	if path == d.tree.root {
		node.Interfaces = append(node.Interfaces, managerData())
	}
	below := slices.Sorted(maps.Keys(d.tree.children(path)))
	for _, element := range below {
		node.Children = append(node.Children, introspect.Node{Name: element})
	}
	if len(node.Interfaces) == 0 && len(below) == 0 {
		return "", standardError("UnknownObject", "no such object")
	}
	node.Interfaces = append(node.Interfaces, introspect.IntrospectData, introspect.PeerData)
	text, err := xml.Marshal(node)
	if err != nil {
		return "", toBusError(fmt.Errorf("cannot describe %s: %w", path, err))
	}
	return strings.TrimSpace(introspect.IntrospectDeclarationString) + "\n" + string(text), nil
}

func managerData() introspect.Interface {
	added := []introspect.Arg{{Name: "object", Type: "o"}, {Name: "interfaces", Type: "a{sa{sv}}"}}
	removed := []introspect.Arg{{Name: "object", Type: "o"}, {Name: "interfaces", Type: "as"}}
	return introspect.Interface{
		Name: managerIface,
		Methods: []introspect.Method{{
			Name: "GetManagedObjects",
			Args: []introspect.Arg{{Name: "objects", Type: "a{oa{sa{sv}}}", Direction: "out"}},
		}},
		Signals: []introspect.Signal{
			{Name: "InterfacesAdded", Args: added}, {Name: "InterfacesRemoved", Args: removed},
		},
	}
}
