package cli

import (
	"context"
	"errors"

	"github.com/reprovision/reprovision/pkg/busapi"
)

// The exit codes.
const (
	exitDone       = 0
	exitFailed     = 1
	exitUsage      = 2 // or input was needed
	exitNotPaired  = 3
	exitOutOfRange = 4
	exitPasscode   = 5
	exitLockedOut  = 6
	exitNoData     = 7
	exitPartial    = 8
	exitCard       = 9
	exitDeclined   = 10
	exitNotAllowed = 11
	exitNotRunning = 12
	exitDamage     = 20 // check only
)

type errorCode struct {
	is   error
	code int
}

// errorCodes gives each kind of error its exit code, what is more special
// first. What is not here is exitFailed.
func errorCodes() []errorCode {
	return []errorCode{
		{context.Canceled, exitFailed},
		{busapi.ErrNotRunning, exitNotRunning},
		{busapi.ErrPINBlocked, exitLockedOut},
		{busapi.ErrWrongPIN, exitPasscode},
		{busapi.ErrWrongPasscode, exitPasscode},
		{busapi.ErrLockedOut, exitLockedOut},
		{busapi.ErrInputNeeded, exitUsage},
		{busapi.ErrDeclined, exitDeclined},
		{busapi.ErrNotAllowed, exitNotAllowed},
		{busapi.ErrNotPaired, exitNotPaired},
		{busapi.ErrNoLink, exitOutOfRange}, // of no use to look for the reader
		{busapi.ErrOutOfRange, exitOutOfRange},
		{busapi.ErrNoData, exitNoData},
		{busapi.ErrPartial, exitPartial},
		{busapi.ErrCard, exitCard},
		{busapi.ErrInvalidArguments, exitUsage},
	}
}

// exitCode is the code for an error.
func exitCode(err error) int {
	if errors.As(err, &usageError{}) {
		return exitUsage
	}
	for _, e := range errorCodes() {
		if errors.Is(err, e.is) {
			return e.code
		}
	}
	return exitFailed
}

type errorInfo struct {
	Code    int    `json:"code"`    // the exit code
	Name    string `json:"name"`    // as on D-Bus, without its prefix; Usage for a wrong command line
	Message string `json:"message"` // without advice
}

// errorDocument is what --json prints for an error.
func errorDocument(code int, err error) any {
	name := busapi.ErrorName(err)
	if errors.As(err, &usageError{}) {
		name = "Usage"
	}
	return struct {
		Error errorInfo `json:"error"`
	}{errorInfo{Code: code, Name: name, Message: printable(err.Error())}}
}
