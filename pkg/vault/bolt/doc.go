// Package bolt is the reader's vault.Store in one bbolt file. It owns that file
// and its lock from Open to Close; it starts no goroutine. bbolt keeps no
// checksum of values, so each value here carries its SHA-256, and damage that
// makes bbolt itself stumble is returned as vault.ErrDamaged instead of ending
// the process. The layout is specified in docs/formats.md.
//
// The reader's daemon may import it.
package bolt
