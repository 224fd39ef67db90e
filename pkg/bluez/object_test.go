package bluez

import (
	"errors"
	"testing"

	"github.com/godbus/dbus/v5"
)

func TestChoose(t *testing.T) {
	tr := newTree()
	for path, address := range map[dbus.ObjectPath]string{
		"/org/bluez/hci10": "02:00:00:00:00:0A", "/org/bluez/hci2": "02:00:00:00:00:02", "/org/bluez/hci1": "02:00:00:00:00:01",
	} {
		tr.put(path, adapterInterface, properties{"Address": dbus.MakeVariant(address)})
	}
	for wanted, want := range map[string]string{
		"": "hci1", "hci10": "hci10", "hci2": "hci2", "02:00:00:00:00:02": "hci2", "02-00-00-00-00-0a": "hci10",
		"hci3": "", "hci": "", "02:00:00:00:00:03": "",
	} {
		if a, ok := tr.choose(wanted); a.name() != want || ok != (want != "") {
			t.Errorf("choose(%q) = %q, %v; want %q", wanted, a.name(), ok, want)
		}
	}
}

func TestTreeIsBounded(t *testing.T) {
	tr := newTree()
	for i := range objectLimit + 10 {
		a := Address{2, 0, 0, 0, byte(i >> 8), byte(i)}
		tr.put(devicePath("/org/bluez/hci0", a), deviceInterface, nil)
	}
	if len(tr.devices) != objectLimit {
		t.Errorf("%d devices are remembered", len(tr.devices))
	}
}

func FuzzDevicePath(f *testing.F) {
	f.Add("/org/bluez/hci0/dev_AA_BB_CC_DD_EE_FF")
	f.Add("/org/bluez/hci0")
	f.Add("dev_AA_BB_CC_DD_EE_FF")
	f.Add("/dev_AA:BB:CC:DD:EE:FF")
	f.Fuzz(func(t *testing.T, path string) {
		adapter, a, err := splitDevicePath(dbus.ObjectPath(path))
		if err != nil {
			if !errors.Is(err, errNoAddress) {
				t.Errorf("%q: %v", path, err)
			}
			return
		}
		again, b, err := splitDevicePath(devicePath(adapter, a))
		if again != adapter || a != b || err != nil {
			t.Errorf("%q became %q %s, %v", path, again, b, err)
		}
	})
}

// FuzzProperties feeds what a confused bluetoothd might send.
func FuzzProperties(f *testing.F) {
	f.Add("Address", "02:00:00:00:00:01", uint32(1))
	f.Add("Powered", "true", uint32(0))
	f.Fuzz(func(t *testing.T, name, text string, number uint32) {
		for _, v := range []any{text, number, number != 0, []string{text}, dbus.ObjectPath(text)} {
			var a adapter
			var d device
			a.update(properties{name: {}, "Alias": dbus.MakeVariant(number)})
			a.update(properties{name: variant(v)})
			d.update(properties{name: variant(v)})
			if name != "Alias" && a.alias != "" {
				t.Errorf("the alias became %q", a.alias)
			}
		}
	})
}

// variant makes a variant of any value; MakeVariant panics on bad object paths.
func variant(v any) dbus.Variant {
	if path, ok := v.(dbus.ObjectPath); ok && !path.IsValid() {
		return dbus.Variant{}
	}
	return dbus.MakeVariant(v)
}
