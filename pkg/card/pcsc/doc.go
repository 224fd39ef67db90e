// Package pcsc owns the conversation with the smart card service through PC/SC:
// which reader, which card, and transactions with it. It is the only package of
// the project that uses cgo.
//
// A PC/SC context must never be used by two threads at once: in pcsc-lite, any
// call on a context that is blocked in another call blocks all PC/SC calls of
// the process. So each context belongs to one goroutine, which makes all its
// calls; who waits for it waits with a deadline, and leaves it behind with its
// context if the deadline passes. One goroutine per Reader watches for cards, one
// per transaction speaks to the card, one at a time lists the cards, and at most one of
// each can be stuck with a card that does not answer, until that card is pulled, or with
// a service that hangs, until that goes on or ends.
//
// New starts nothing; Run watches until its context ends. What a card is
// understood as is decided by the card.Profiles that the Reader was given. The
// package may be imported by the wiring of the reader host, by tests and by the
// sandbox's programs.
package pcsc
