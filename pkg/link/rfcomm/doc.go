// Package rfcomm is the link over Bluetooth: a stream socket between the device
// and the reader that BlueZ makes by the project's profile.
//
// Package bluez finds, bonds and connects; this package makes links of it. One
// thing it owns alone: the kernel stalls on large writes to such sockets, and
// Write avoids that (see pieceSize).
//
// The bluez.Client of a Dialer is run by its owner; that of a Listener is run by
// the listener's own Run. Only daemons and tests import the package.
package rfcomm
