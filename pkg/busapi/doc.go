// Package busapi owns the D-Bus face of both daemons and the client for it: the
// values that travel, the names of errors, the objects, the authorisation of
// callers and the agents that answer prompts.
//
// # Server
//
// NewDevice and NewReader start nothing. Run exports the objects, claims the
// bus name, and returns after its context has ended and every call that was
// running has returned. What the daemons do stands behind DeviceBackend and
// ReaderBackend; a backend returns errors that wrap this package's sentinels.
//
// # Client
//
// DialDevice and DialReader give typed calls, ServeAgent answers the daemon's
// prompts, FollowDevice and FollowReader follow events across restarts of the
// daemons. At the client errors.Is sees the same sentinels.
//
// # Text
//
// D-Bus strings are UTF-8 without NUL; names of files need not be. Every byte
// that cannot travel appears as the rune U+EF00 plus its value, and turns back
// into that byte on the way in (see text.go).
//
// The server half is for pkg/daemon, the client half for pkg/cli; nothing else
// imports the package. It knows nothing of storage, links or cards.
package busapi
