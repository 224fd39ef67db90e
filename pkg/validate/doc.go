// Package validate owns the formats of files: how each is recognised, and
// whether contents are whole. Bytes go in, a reason comes out; it knows neither
// paths nor policies, and what follows from a broken format is detect's to say.
//
// A check never panics, reads at most MaxSize bytes of a file, holds at most a
// few megabytes and stops soon after its context ends. A reason names the place and
// the fault, never a value: what it looks at are keys and passwords.
//
// The package has no state and starts nothing. Only detect, the device's daemon
// and tests import it.
package validate
