// Package reader is the wiring of scrd: it brings the mechanisms of the reader
// together and owns their lifetimes. It serves sessions on its links, keeps what
// devices send in the store, and mirrors the critical part of one vault onto the
// smart card.
//
// Only cmd/scrd imports it. New starts nothing; Run owns every goroutine and
// returns when all have ended.
package reader
