// Package local is the link over a unix stream socket: device and reader on one
// machine, as in the sandbox and in tests.
//
// The socket has mode 0600, so only the same user reaches it; its lock file
// keeps the socket of a live process from being taken. A short preamble says
// which address the device wants, so that a wrong address is nobody's here
// just as it is over the radio. docs/protocol.md describes it.
//
// Listen binds the socket, Run serves it, Close or the end of Run's context
// removes it. Only daemons and tests import the package.
package local
