// Package piv owns the card profile that keeps our versions in data objects of a
// PIV card (NIST SP 800-73-4), such as a YubiKey: the commands of that standard,
// and a store that shares what two versions have in common, because objects are
// written as a whole and a card has only a few.
//
// New makes a card.Profile for readers to try. A Medium lives for one
// transaction; nothing here starts a goroutine. docs/formats-card.md gives every
// byte. It may be imported by the wiring of the reader host and by tests.
package piv
