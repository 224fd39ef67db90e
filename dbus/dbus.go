// Package dbus embeds what the project gives to a D-Bus system: introspection
// XML, the bus policies, the polkit policy and the activation files, all of
// which lie beside this file (go:embed cannot reach "..").
//
// It holds bytes and nothing else: no lifecycle and no parsing. Package busapi
// answers Introspect from it, and the installation copies the same files, so
// that what is documented, what is installed and what is exported are one.
package dbus

import (
	"embed"
	"fmt"
)

// Names of the interfaces that have an XML file here.
const (
	DeviceInterface   = "org.reprovision.Device1"
	ReaderInterface   = "org.reprovision.Reader1"
	SnapshotInterface = "org.reprovision.Snapshot1"
	PeerInterface     = "org.reprovision.Peer1"
	AgentInterface    = "org.reprovision.Agent1"
)

// Files holds every file by its bare name: *.xml, *.conf, *.policy, *.service.
//
//go:embed *.xml *.conf *.policy *.service
var Files embed.FS

// Introspection returns the XML of one interface, a whole document whose node
// holds that interface and no other.
func Introspection(iface string) (string, error) {
	text, err := Files.ReadFile(iface + ".xml")
	if err != nil {
		return "", fmt.Errorf("cannot describe interface %s: %w", iface, err)
	}
	return string(text), nil
}
