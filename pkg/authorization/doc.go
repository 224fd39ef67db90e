// Package authorization owns what a smart card has to show so that its owner's
// device takes it for the owner's: the authorization record that lies on the card
// (claim 2, paragraph 29), and the answer to a heartbeat's challenge. A card with
// a key of its own signs that answer, so that a copy of the record is worthless
// without the card; of a card without, the record itself is all there is.
//
// The device makes and verifies, the reader and its card answer. Everything here
// is a function of its arguments: no state, no goroutines, no transport. Daemons
// may import it. docs/formats.md gives every byte.
package authorization
