// Package enforce owns the switching of functions of the device by the means that
// the system has for it: a target of systemd that units bind to (Units), and
// logind's lock of sessions (Sessions). Why a function is on or off it does not know.
//
// New starts nothing. A Lever's Run drives one function towards what was last
// wanted, until its context ends, and leaves it as it is then; Sessions.Run tells when
// sessions are to be locked anew. The device's daemon imports it. It knows nothing but D-Bus and
// one file, and no package of this module.
package enforce
