package bluez

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"
	"github.com/muka/go-bluetooth/bluez/profile"
)

// What can be wrong with this host's Bluetooth. State.Err tells which.
var (
	ErrNotRunning = errors.New("bluetoothd is not running")
	ErrNoAdapter  = errors.New("no Bluetooth adapter")
	ErrPoweredOff = errors.New("the Bluetooth adapter is switched off")
	ErrBlocked    = errors.New("the Bluetooth adapter is blocked by rfkill")
	ErrStarting   = errors.New("the Bluetooth adapter is still being set up")
)

// What can be wrong with a peer. Dial wraps them.
var (
	// ErrAbsent: nobody in range answers to the address.
	ErrAbsent = errors.New("no answer over Bluetooth")
	// ErrNoService: the host is there and does not offer the profile.
	ErrNoService = errors.New("that host offers no such service")
	// ErrRefused: the host is there, and the connection was refused or broke off.
	ErrRefused = errors.New("BlueZ or the peer refused")
	// ErrBusy: BlueZ is at it already, or has a connection with that peer.
	ErrBusy = errors.New("BlueZ is busy with that")
)

// errExists is a registration that bluetoothd has already: the answer to an
// earlier one was lost.
var errExists = errors.New("it is registered already")

// errNotTaken is a request that bluetoothd does not grant.
var errNotTaken = errors.New("bluetoothd does not grant it")

// errGone is a call to an object that BlueZ removed meanwhile.
var errGone = errors.New("BlueZ has no such object")

// kind sorts BlueZ's errors by name; org.bluez.Error.Failed needs its text.
func kind(name, text string) error {
	switch name {
	case busDaemon + ".Error.ServiceUnknown", busDaemon + ".Error.NameHasNoOwner",
		busDaemon + ".Error.NoReply", busDaemon + ".Error.Disconnected":
		return ErrNotRunning
	case busDaemon + ".Error.UnknownObject", busDaemon + ".Error.UnknownMethod",
		busDaemon + ".Error.UnknownInterface":
		return errGone
	case profile.ErrNotReady.Name:
		return ErrPoweredOff
	case service + ".Error.ConnectionAttemptFailed":
		return ErrAbsent
	case profile.ErrDoesNotExist.Name, profile.ErrNotAvailable.Name, profile.ErrNotSupported.Name:
		return ErrNoService
	case service + ".Error.AlreadyExists":
		return errExists
	case service + ".Error.NotPermitted", profile.ErrInvalidArguments.Name, profile.ErrNotAuthorized.Name,
		busDaemon + ".Error.AccessDenied":
		return errNotTaken
	case service + ".Error.InProgress", service + ".Error.Busy", profile.ErrAlreadyConnected.Name:
		return ErrBusy
	}
	return kindOfText(text)
}

// kindOfText sorts what BlueZ writes into Failed (src/error.c): its own words
// since 5.63, strerror(3) before and where it forgot.
func kindOfText(text string) error {
	text = strings.ToLower(text)
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	switch {
	case has("blocked"):
		return ErrBlocked
	case has("page-timeout", "page timeout", "host is down", "connection-timeout", "timed out"):
		return ErrAbsent
	case has("adapter-not-powered", "no route to host", "not powered", "network is down"):
		return ErrPoweredOff
	case has("profile-unavailable", "connection-not-supported", "protocol not available", "no such file"):
		return ErrNoService
	case has("busy", "already", "in progress"):
		return ErrBusy
	}
	return ErrRefused
}

// explainPairing is explain for Device1.Pair, whose errors have names of their
// own. A bond that is there already is none.
func explainPairing(ctx context.Context, err error) error {
	var answer dbus.Error
	if errors.As(err, &answer) {
		switch answer.Name {
		case service + ".Error.AlreadyExists":
			return nil
		case service + ".Error.AuthenticationTimeout", service + ".Error.AuthenticationCanceled",
			service + ".Error.AuthenticationRejected", service + ".Error.AuthenticationFailed":
			return fmt.Errorf("%w: %s", ErrRefused, answer.Name)
		}
	}
	return explain(ctx, err)
}

// explain turns the error of a call into one of the kinds above. The context's
// own end comes first.
func explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var answer dbus.Error
	if !errors.As(err, &answer) {
		return fmt.Errorf("%w: %w", ErrNotRunning, err) // the bus itself is gone
	}
	text := ""
	if len(answer.Body) > 0 {
		text, _ = answer.Body[0].(string)
	}
	return fmt.Errorf("%w (%s: %s)", kind(answer.Name, text), answer.Name, text)
}
