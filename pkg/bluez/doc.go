// Package bluez is the client of BlueZ, the Bluetooth daemon, on D-Bus: which
// adapter is used and whether it is usable, when this host may be seen and
// paired with, the bond with one peer, and the stream socket of the project's
// profile to or from that peer. It knows nothing of what goes over the socket:
// a bond is only a means to get one, and whoever is at its other end is nobody
// until a session has authenticated it.
//
// New starts nothing. Client.Run follows bluetoothd until its context ends:
// adapters that come and go, power, restarts of bluetoothd, peers that come
// back. It registers the profile again whenever bluetoothd is back, and ends
// every goroutine that it started. All other methods may be called at any time
// and from any goroutine; while Run does not run, Bluetooth is not usable.
//
// The D-Bus connection belongs to the caller, who gives a client one of its
// own, with signals in order (dbus.NewSequentialSignalHandler).
//
// Only link/rfcomm, daemons and tests import the package.
package bluez
