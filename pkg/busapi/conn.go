package busapi

import (
	"fmt"

	"github.com/godbus/dbus/v5"
)

const systemBus = "unix:path=/run/dbus/system_bus_socket"

// DeviceBus is the address of the bus that reprovisiond is on: the system bus,
// or what DBUS_SYSTEM_BUS_ADDRESS says. The function env is os.Getenv or like it.
func DeviceBus(env func(string) string) string {
	if address := env("DBUS_SYSTEM_BUS_ADDRESS"); address != "" {
		return address
	}
	return systemBus
}

// ReaderBus is the address of the bus that scrd is on. It is DeviceBus unless
// REPROVISION_READER_BUS_ADDRESS names another, as for two hosts on one machine.
func ReaderBus(env func(string) string) string {
	if address := env("REPROVISION_READER_BUS_ADDRESS"); address != "" {
		return address
	}
	return DeviceBus(env)
}

// Connect opens a connection of its own to a bus, with signals in order. The
// caller closes it. The error wraps ErrNotRunning.
func Connect(address string) (*dbus.Conn, error) {
	conn, err := dbus.Connect(address, dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if err != nil {
		return nil, fmt.Errorf("cannot reach the bus at %s: %w: %w", address, ErrNotRunning, err)
	}
	return conn, nil
}
