// Package pairing owns the process of FIG. 4 on both sides, steps 410 to 422:
// how a device and a reader that know nothing of each other come to pin each
// other's key, by way of an address and a passcode that the owner carries from
// one to the other.
//
// Each side is a pure step(state, event) machine and a small runner. On the
// reader, a Reader lives as long as the daemon: New starts nothing, Run closes
// the window in time, Press opens it, and a session.Server calls the rest. On
// the device, Pair runs the process once from dialling to pinning.
//
// A passcode allows one guess: from the moment that KE1 was answered it is void,
// unless KE3 proves that the device knows it. Wrong guesses are counted and
// delayed, and a few of them close the window.
//
// The package knows neither D-Bus nor screens: it calls a Display and a
// Prompter. Edges and daemons may import it.
package pairing
