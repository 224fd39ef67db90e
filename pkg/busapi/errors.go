package busapi

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/godbus/dbus/v5"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// Sentinels that backends wrap and that clients see again. On the bus each has
// the name org.reprovision.Error. plus what follows Err here.
var (
	ErrFailed           = errors.New("failed")
	ErrInvalidArguments = errors.New("invalid arguments")
	ErrNotPaired        = errors.New("not paired with a reader")
	ErrOutOfRange       = errors.New("the reader is out of range")
	ErrNoLink           = errors.New("this host's Bluetooth cannot be used")
	ErrWrongPasscode    = errors.New("wrong passcode")
	ErrLockedOut        = errors.New("too many wrong passcodes")
	ErrWrongPIN         = errors.New("wrong card PIN")
	ErrPINBlocked       = errors.New("the card's PIN is blocked")
	ErrNoData           = errors.New("the reader has no data for this device or user")
	ErrPartial          = errors.New("done in part")
	ErrCard             = errors.New("smart card")
	ErrDeclined         = errors.New("declined by the owner")
	ErrNotAllowed       = errors.New("not allowed")
	ErrInputNeeded      = errors.New("input is needed")
	ErrPairingClosed    = errors.New("the reader's pairing window is closed")
	ErrBusy             = errors.New("busy")
	ErrOverQuota        = errors.New("the reader has no room left for this device")
	ErrCanceled         = errors.New("canceled")
)

var (
	// ErrNoAgent says that nobody is there to answer a prompt. It is an
	// ErrInputNeeded too, which is how it travels.
	ErrNoAgent = fmt.Errorf("%w: no agent answers", ErrInputNeeded)
	// ErrNotRunning says that a daemon's name has no owner, that the daemon
	// went away during a call, or that there is no bus. Clients only.
	ErrNotRunning = errors.New("not running")
	// ErrNameTaken is what Run returns when another process owns the name.
	ErrNameTaken = errors.New("the bus name is taken")
)

const errorPrefix = "org.reprovision.Error."

type namedError struct {
	name string
	is   error
}

// errorNames lists the sentinels with the last part of their names, what is
// more special first: the first that an error wraps gives its name.
func errorNames() []namedError {
	return []namedError{
		{"PinBlocked", ErrPINBlocked}, // the try that blocks it was wrong, too
		{"WrongPin", ErrWrongPIN},
		{"WrongPasscode", ErrWrongPasscode},
		{"LockedOut", ErrLockedOut},
		{"PairingClosed", ErrPairingClosed},
		{"InputNeeded", ErrInputNeeded},
		{"Declined", ErrDeclined},
		{"NotAllowed", ErrNotAllowed},
		{"NotPaired", ErrNotPaired},
		{"NoLink", ErrNoLink},
		{"OutOfRange", ErrOutOfRange},
		{"NoData", ErrNoData},
		{"Partial", ErrPartial},
		{"Card", ErrCard},
		{"Busy", ErrBusy},
		{"OverQuota", ErrOverQuota},
		{"InvalidArguments", ErrInvalidArguments},
		{"NotRunning", ErrNotRunning},
		{"Canceled", ErrCanceled},
		{"Canceled", context.Canceled},
		{"Failed", ErrFailed},
	}
}

// ErrorName is the last part of an error's name on the bus, such as NotPaired;
// Failed for an error that wraps no sentinel.
func ErrorName(err error) string {
	for _, e := range errorNames() {
		if errors.Is(err, e.is) {
			return e.name
		}
	}
	return "Failed"
}

// RemoteError is an error that came over the bus. Its text is the daemon's;
// errors.Is finds the sentinel of its name.
type RemoteError struct {
	Name    string // as on the bus, for example org.reprovision.Error.NotPaired
	Message string
	is      error
}

// Error returns the message, or the name where there is none.
func (e *RemoteError) Error() string {
	if e.Message == "" {
		return e.Name
	}
	return e.Message
}

// Unwrap returns the sentinel that belongs to the name.
func (e *RemoteError) Unwrap() error { return e.is }

// toBusError turns a backend's error into what a caller gets; nil for nil. The
// message is made printable and short: it may hold names of files.
func toBusError(err error) *dbus.Error {
	if err == nil {
		return nil
	}
	message := cut(userdata.Printable(err.Error()), maxMessage)
	return dbus.NewError(errorPrefix+ErrorName(err), []any{message})
}

// fromBusError turns the error of a call into one that errors.Is can tell.
func fromBusError(err error) error {
	var ptr *dbus.Error
	var val dbus.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, dbus.ErrClosed):
		return fmt.Errorf("%w: the bus connection was closed", ErrNotRunning)
	case errors.As(err, &ptr):
		val = *ptr
	case !errors.As(err, &val):
		return err
	}
	e := &RemoteError{Name: val.Name, is: sentinelOf(val.Name)}
	if len(val.Body) > 0 {
		if text, ok := val.Body[0].(string); ok {
			e.Message = cut(userdata.Printable(text), maxMessage)
		}
	}
	return e
}

func sentinelOf(name string) error {
	if short, ok := strings.CutPrefix(name, errorPrefix); ok {
		for _, e := range errorNames() {
			if e.name == short {
				return e.is
			}
		}
		return ErrFailed
	}
	switch strings.TrimPrefix(name, "org.freedesktop.DBus.Error.") {
	case "ServiceUnknown", "NameHasNoOwner", "NoReply", "Disconnected", "NoServer":
		return ErrNotRunning
	case "AccessDenied", "AuthFailed", "InteractiveAuthorizationRequired":
		return ErrNotAllowed
	case "InvalidArgs", "UnknownMethod", "UnknownObject", "UnknownInterface", "NoSuchObject":
		return ErrInvalidArguments
	case "LimitsExceeded":
		return ErrBusy
	}
	return ErrFailed
}
