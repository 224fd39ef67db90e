package session

import (
	"errors"
	"fmt"
	"time"
)

// Errors about the connection, found on the side that returns them.
var (
	// ErrDisconnected is wrapped by everything that fails because the
	// connection died.
	ErrDisconnected = errors.New("session has ended")
	// ErrWrongPeer means that the host at the other end does not hold the
	// pinned key.
	ErrWrongPeer = errors.New("peer is not the one that was paired")
)

// Errors that travel from the reader to the device. A Provider returns one,
// wrapped or not, and the device gets an error that is the same to errors.Is.
var (
	ErrNotPaired     = errors.New("the peer does not know this device")
	ErrPairingClosed = errors.New("the reader is not open for pairing")
	ErrNoData        = errors.New("no data")
	ErrNoVault       = errors.New("no such vault")
	ErrExists        = errors.New("exists already")
	ErrStale         = errors.New("another snapshot came between")
	ErrNotAllowed    = errors.New("not allowed")
	ErrCard          = errors.New("card")
	ErrWrongPasscode = errors.New("wrong passcode")
	ErrLockedOut     = errors.New("locked out")
	ErrTooLarge      = errors.New("too large")
	ErrOverQuota     = errors.New("no room left for this device")
	ErrBusy          = errors.New("busy")
	ErrDamaged       = errors.New("stored blob is damaged")
	ErrConflict      = errors.New("another blob has this id")
	ErrBadRequest    = errors.New("bad request")
	ErrProtocol      = errors.New("peer breaks the protocol")
)

// RemoteError is an error that the reader reported. It wraps one of the errors
// above.
type RemoteError struct {
	Err        error
	Text       string        // the reader's words: printable, up to MaxText bytes; may be empty
	RetryAfter time.Duration // with ErrLockedOut: when to try again; 0: not by waiting
	Left       int           // with ErrWrongPasscode: how many tries are left; -1: not known
}

// Error is the reader's text, which names the error already where it has one.
func (e *RemoteError) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("the reader says: %v", e.Err)
	}
	return "the reader says: " + e.Text
}

// Unwrap gives the sentinel.
func (e *RemoteError) Unwrap() error { return e.Err }

// WrongPasscode is the error of a reader that counts tries.
type WrongPasscode struct {
	Left int // tries that are left; -1: not known
}

// Error says how many tries are left.
func (e *WrongPasscode) Error() string {
	if e.Left < 0 {
		return ErrWrongPasscode.Error()
	}
	return fmt.Sprintf("%v, %d left", ErrWrongPasscode, e.Left)
}

// Unwrap gives ErrWrongPasscode.
func (e *WrongPasscode) Unwrap() error { return ErrWrongPasscode }

// LockedOut is the error of a reader that wants no further attempt for a time.
type LockedOut struct {
	RetryAfter time.Duration // 0: not by waiting
}

// Error says how long.
func (e *LockedOut) Error() string {
	if e.RetryAfter == 0 {
		return ErrLockedOut.Error()
	}
	return fmt.Sprintf("%v for %v", ErrLockedOut, e.RetryAfter)
}

// Unwrap gives ErrLockedOut.
func (e *LockedOut) Unwrap() error { return ErrLockedOut }
