package card

import (
	"errors"
	"fmt"
)

// ErrNoCard means that no card is in the reader.
var ErrNoCard = errors.New("no card in the reader")

// ErrRemoved means that the card was taken out, or exchanged for another one,
// in the middle of a transaction. What was committed before is still on it.
var ErrRemoved = errors.New("card removed")

// ErrFull means that the data do not fit into a slot, or that the card has no
// room for the slots. A *FullError tells the sizes where they are known.
var ErrFull = errors.New("card full")

// ErrBlank means that the card is formatted and that nothing was committed yet.
var ErrBlank = errors.New("card blank")

// ErrUnformatted means that the card holds no slots of ours.
var ErrUnformatted = errors.New("card not formatted")

// ErrDamaged means that something was written to the card and that neither
// slot holds a whole version, or that written bytes did not read back.
var ErrDamaged = errors.New("card contents damaged")

// ErrWhole means that the card holds a whole version, so that there is nothing to
// repair.
var ErrWhole = errors.New("card holds a whole version")

// ErrBusy means that another program or transaction held the card for as long
// as the caller was willing to wait.
var ErrBusy = errors.New("card in use by another program")

// ErrReadOnly means that the card may not be written: it is write-protected, or
// its access rules forbid it.
var ErrReadOnly = errors.New("card read-only")

// ErrTimeout means that the card did not answer in time.
var ErrTimeout = errors.New("card does not answer")

// ErrNoService means that the smart card service is not running.
var ErrNoService = errors.New("smart card service not available")

// ErrNoReader means that no reader, or none of the configured name, is attached.
var ErrNoReader = errors.New("no card reader")

// ErrUnsupported means that the card cannot do what a profile needs of it.
var ErrUnsupported = errors.New("card not supported")

// ErrForeign means that what lies where our objects belong is not ours and will
// not be overwritten.
var ErrForeign = errors.New("not a card image of ours")

// ErrGeneration means that a commit's generation is not above the one that is
// on the card already.
var ErrGeneration = errors.New("generation not newer than the card's")

// ErrPIN means that the PIN was wrong. A *PINError tells how many tries are left.
var ErrPIN = errors.New("wrong PIN")

// ErrPINBlocked means that no tries are left for the PIN. Where the card has an
// unblocking code (PUK), PIN.UnblockPIN gives them back.
var ErrPINBlocked = errors.New("PIN blocked")

// ErrPINNeeded means that the card wants its PIN verified before, in the same
// transaction.
var ErrPINNeeded = errors.New("PIN needed")

// ErrPINExists means that the card has a PIN and asks for it, so that it cannot be
// given one; it can be changed. No try was spent.
var ErrPINExists = errors.New("card has a PIN already")

// ErrPINFormat means that the card does not take a PIN of that length or with
// those characters. No try was spent.
var ErrPINFormat = errors.New("PIN of a form that the card does not take")

// ErrAdminKey means that the management key was refused by the card, or that
// the card could not prove to know it.
var ErrAdminKey = errors.New("wrong management key")

// ErrAdminKeyNeeded means that writing needs the card's management key and that
// none was given. It comes with ErrReadOnly.
var ErrAdminKeyNeeded = errors.New("management key needed")

// ErrNoKey means that the card has no key to sign with, or none whose public
// half can be learned.
var ErrNoKey = errors.New("no card key")

// ErrNoSecret means that no secret is kept on the card.
var ErrNoSecret = errors.New("no secret on the card")

// FullError tells how much did not fit. It matches ErrFull.
type FullError struct {
	Need int // bytes of data that were to be stored
	Have int // bytes of data that one slot holds at most
}

// Error gives both sizes in bytes.
func (e *FullError) Error() string {
	return fmt.Sprintf("%v: %d bytes needed, %d available", ErrFull, e.Need, e.Have)
}

// Is matches ErrFull.
func (e *FullError) Is(target error) bool { return target == ErrFull }

// PINError tells how many tries are left after a wrong PIN. It matches ErrPIN,
// and ErrPINBlocked if there are none.
type PINError struct{ Tries int } // -1 if the card does not tell

// Error gives the number of tries left.
func (e *PINError) Error() string {
	switch e.Tries {
	case -1:
		return ErrPIN.Error()
	case 1:
		return ErrPIN.Error() + ", 1 try left"
	}
	return fmt.Sprintf("%v, %d tries left", ErrPIN, e.Tries)
}

// Is matches ErrPIN and, without tries left, ErrPINBlocked.
func (e *PINError) Is(target error) bool {
	return target == ErrPIN || e.Tries == 0 && target == ErrPINBlocked
}
