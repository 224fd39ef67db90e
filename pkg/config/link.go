package config

import (
	"fmt"
	"regexp"
)

// LinkKind is the way between a device and a reader.
type LinkKind string

// The kinds of link.
const (
	RFCOMM LinkKind = "rfcomm" // Bluetooth, through BlueZ
	Local  LinkKind = "local"  // a unix socket, for a sandbox
)

// adapterForm is what names a Bluetooth adapter: the kernel's name or the address.
const adapterForm = `^(hci[0-9]{1,5}|([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2})$`

func checkLink(kind LinkKind, adapter, path string) *Error {
	return first(
		oneOf("link.kind", string(kind), string(RFCOMM), string(Local)),
		checkAdapter(adapter),
		checkDir("link.path", path),
	)
}

func checkAdapter(adapter string) *Error {
	if adapter == "" || regexp.MustCompile(adapterForm).MatchString(adapter) {
		return nil
	}
	return &Error{Key: "link.adapter", Why: fmt.Sprintf("%q is neither a name such as hci0 nor an address", adapter)}
}
