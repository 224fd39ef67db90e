// Package virtual owns virtual cards for tests and the sandbox: an ISO/IEC 7816-4
// card with a file system, or a PIV card (NIST SP 800-73-4), in memory and
// optionally kept in an image file, that interprets command APDUs; and the client
// side of the protocol by which vsmartcard's vpcd driver lets a program be the
// card in a PC/SC reader.
//
// A Card lasts as long as its owner likes and is safe for concurrent use. Insert
// puts it into a reader and returns a Plug, which owns one goroutine until Pull.
// The card is real to whoever talks to it, faults included (Hook), but nothing
// protects its contents: it is no place for secrets. It may be imported by tests
// and by the sandbox's programs only.
package virtual
