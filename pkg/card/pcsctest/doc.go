// Package pcsctest owns a private pcscd with vsmartcard's virtual reader, beside
// any that the machine runs: for tests of what speaks PC/SC, and for the sandbox.
//
// Start launches the daemon and waits until it serves; Stop ends it, and so does
// the death of the program that started it. One program should have one daemon,
// because the PC/SC library looks at PCSCLITE_CSOCK_NAME only once. It may be
// imported by tests and by the sandbox's programs only.
package pcsctest
