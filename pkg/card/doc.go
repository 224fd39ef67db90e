// Package card owns a small transactional object store on a removable card:
// the bytes of its slots, its errors, and the interfaces that a kind of card
// and a reader of cards implement.
//
// One object lives on a card, in two slots A and B. A commit writes what the
// newest whole version has not, to where that one has nothing, and then the
// header of the slot that is not that one's, so that a card pulled at any moment
// still yields the last whole version. docs/formats-card.md gives every byte.
//
// A Medium is the storage of one card for the length of one transaction; a
// Store puts commits on top of it; a Reader says which card is in and lends its
// Medium for one short transaction. Where a card has a PIN, a key to sign with
// or a place for a secret, its Medium is a PIN, a Key or a Secret, too.
// Sub-packages implement them: file (an image file), iso7816 (cards with a file
// system), piv (PIV cards), profile (which of the two a card is) and pcsc
// (readers behind PC/SC, the only cgo of the project). Nothing here starts a
// goroutine or keeps state between transactions.
//
// The data are opaque here: this package knows nothing of snapshots. It may be
// imported by the layers above the mechanisms and by its own sub-packages.
package card
