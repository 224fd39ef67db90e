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
