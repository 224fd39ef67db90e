// Package session owns the conversation between a device and its reader: TLS 1.3
// with pinned keys over a connection that a link gave, gRPC on top, and the
// .proto file. docs/protocol.md is its specification.
//
// On the device, Dial and DialPairing take over one connection and give a
// Session or a PairingSession, which lives until the connection dies or Close is
// called; it never reconnects. On the reader, a Server authenticates accepted
// connections and serves them; New starts nothing, Serve owns all goroutines.
//
// Callers see plain Go types and sentinel errors, which travel from the reader
// to the device; neither gRPC nor sessionpb shows. The package knows no
// schedules, vaults, keyrings or links: ids are byte arrays, keys are
// crypto.Signer, connections are net.Conn. Processes, edges and daemons may
// import it.
package session
