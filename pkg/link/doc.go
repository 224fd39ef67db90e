// Package link owns what every way between a device and a reader has in common:
// the address that is shown and typed in, and the interfaces that give a
// net.Conn. The ways themselves are its subpackages; link/linktest is the
// conformance suite that each of them passes.
//
// A link carries bytes. It knows neither framing nor keys: whoever is at the
// other end of a connection is nobody until a session has authenticated it.
//
// The package has no state and no lifecycle. Processes, edges and daemons may
// import it; other mechanisms do not.
package link
