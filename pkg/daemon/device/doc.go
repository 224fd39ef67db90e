// Package device is the wiring of reprovisiond: it brings the mechanisms and
// the processes of the device together and owns their lifetimes. It holds the
// session with the reader while that is in range, looks for damage when there
// is a reason to, and does one backup, check or reprovision at a time.
//
// Only cmd/reprovisiond imports it. New starts nothing; Run owns every
// goroutine and returns when all have ended.
package device
