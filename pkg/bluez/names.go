package bluez

import (
	"github.com/godbus/dbus/v5"
	"github.com/muka/go-bluetooth/bluez"
	"github.com/muka/go-bluetooth/bluez/profile/agent"
)

// ProfileUUID names the project's service: it is in the reader's SDP record, and
// the device asks for it.
const ProfileUUID = "1a9a14a2-8020-46d1-b196-13396ee68fc5"

// The two halves are registered under UUIDs of their own, with the option Service
// naming the one above: one bluetoothd refuses a UUID that any profile, whichever
// its role, has as its remote one already, and both halves may share a bluetoothd.
const (
	serverUUID = "9a612f01-2725-41ef-8300-363d78520717"
	clientUUID = "9c1473bc-05ef-4e05-9250-46d322b8e145"
)

// The objects and interfaces of BlueZ, see org.bluez.*(5).
const (
	service  = bluez.OrgBluezInterface
	rootPath = dbus.ObjectPath(bluez.OrgBluezPath)

	adapterInterface        = service + ".Adapter1"
	deviceInterface         = service + ".Device1"
	agentInterface          = service + ".Agent1"
	agentManagerInterface   = service + ".AgentManager1"
	profileInterface        = service + ".Profile1"
	profileManagerInterface = service + ".ProfileManager1"
)

// What D-Bus itself offers.
const (
	busDaemon           = "org.freedesktop.DBus"
	propertiesInterface = bluez.PropertiesInterface
	managerInterface    = bluez.ObjectManagerInterface
)

// The objects that we export, on the client's own connection.
const (
	agentPath   = dbus.ObjectPath("/org/reprovision/bluez/agent")
	profilePath = dbus.ObjectPath("/org/reprovision/bluez/profile")
)

// capability: neither half shows or asks anything for Bluetooth's own pairing.
const capability = agent.CapNoInputNoOutput
