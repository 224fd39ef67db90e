// Package iso7816 owns the command and response APDUs of ISO/IEC 7816-4 and the
// card profile that keeps our slots in transparent files of a card with a file
// system.
//
// Command and Response are values. Exchange puts one command through a
// Transmitter, GET RESPONSE, repeated Le and command chaining included. Open is
// the profile: a card.Profile for readers to try. Nothing here starts a
// goroutine; a Medium lives for one transaction. It may be imported by the
// wiring of the reader host, by other card profiles and by tests.
package iso7816
