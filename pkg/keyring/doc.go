// Package keyring owns what a host must keep to be itself: its identity, the
// peers that it is paired with, the device's slot of the vault key, what the other
// key slots hold, and the passcode ceremonies (OPAQUE, RFC 9807): that of pairing, and
// that of reprovisioning, by which a slot opens. Package keyring/attempts counts
// entries of the latter.
//
// A Keyring is a directory (0700) of small files (0600), each replaced whole
// and durably; it keeps nothing in memory, so what it returns is what is on
// disk, and several Keyrings of one directory do not disturb each other. It has
// no goroutines and needs no Close. A Verifier or Prover serves one passcode.
//
// It knows neither D-Bus nor screens nor links. Processes, edges and daemons
// may import it.
package keyring
