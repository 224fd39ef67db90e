package bluez

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/godbus/dbus/v5"
)

// Address is a 48-bit device address, most significant byte first.
type Address [6]byte

// String is the address as BlueZ writes it: "AA:BB:CC:DD:EE:FF".
func (a Address) String() string { return strings.ToUpper(net.HardwareAddr(a[:]).String()) }

var errNoAddress = errors.New("not a 48-bit address")

func parseAddress(s string) (Address, error) {
	mac, err := net.ParseMAC(s)
	if err != nil || len(mac) != len(Address{}) {
		return Address{}, fmt.Errorf("%w: %q", errNoAddress, s)
	}
	return Address(mac), nil
}

// devicePath is the object that BlueZ has for a peer as seen from an adapter.
func devicePath(adapter dbus.ObjectPath, a Address) dbus.ObjectPath {
	return adapter + "/dev_" + dbus.ObjectPath(strings.ReplaceAll(a.String(), ":", "_"))
}

// splitDevicePath undoes devicePath. The signal that announces a device may still
// be on its way when the device's object is named in a call; the path tells all.
func splitDevicePath(path dbus.ObjectPath) (adapter dbus.ObjectPath, a Address, err error) {
	parent, last, ok := cutLast(string(path))
	name, isDevice := strings.CutPrefix(last, "dev_")
	if !ok || !isDevice || len(name) != len("AA_BB_CC_DD_EE_FF") {
		return "", Address{}, fmt.Errorf("%w: object %q", errNoAddress, path)
	}
	a, err = parseAddress(strings.ReplaceAll(name, "_", ":"))
	return dbus.ObjectPath(parent), a, err
}

// cutLast splits an object path before its last element.
func cutLast(path string) (parent, last string, ok bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", "", false
	}
	return path[:i], path[i+1:], true
}
