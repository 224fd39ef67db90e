// Package authorization owns what a smart card has to show so that its owner's
// device takes it for the owner's, and what the device makes of it.
//
// The first is the authorization record that lies on the card (claim 2, paragraph
// 29), and the answer to a heartbeat's challenge. A card with a key of its own signs
// that answer, so that a copy of the record is worthless without the card; of a
// card without, the record itself is all there is. The second is State (claim 4): for
// how long an answer keeps the chosen functions of the device on, and why they are off.
//
// The device makes and verifies, the reader and its card answer. Everything here
// is a function of its arguments: no clocks, no goroutines, no transport. Daemons
// may import it. docs/formats.md gives every byte, docs/authorization.md every step.
package authorization
