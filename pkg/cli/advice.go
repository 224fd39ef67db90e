package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/reprovision/reprovision/pkg/busapi"
)

// complaint is the line that says what went wrong: "cannot back up: ...".
func (a *app) complaint(err error) string {
	text := printable(err.Error())
	if errors.Is(err, context.Canceled) {
		text = "interrupted"
	}
	if errors.As(err, &usageError{}) || strings.HasPrefix(text, "cannot ") || a.doing == "" {
		return text
	}
	return "cannot " + a.doing + ": " + text
}

// advice is what the owner can do about an error; empty where nothing helps.
func (a *app) advice(err error) string {
	if errors.As(err, &usageError{}) {
		return "Run 'scrctl --help' for the commands, or 'scrctl COMMAND --help' for one."
	}
	if errors.Is(err, context.Canceled) {
		return ""
	}
	for _, hint := range a.hints() {
		if errors.Is(err, hint.is) {
			return hint.advice
		}
	}
	return ""
}

type hint struct {
	is     error
	advice string
}

func (a *app) hints() []hint {
	return []hint{
		{busapi.ErrNotRunning, "Start it: systemctl start " + a.unit()},
		{busapi.ErrNotPaired, "Press the reader's button, then run: scrctl pair ADDRESS"},
		{busapi.ErrPairingClosed, "Press the reader's button (scrctl reader press), then run the command again while it shows its address."},
		{busapi.ErrPINBlocked, "Give it a new PIN with the card's PUK: scrctl card pin set. If the PUK is blocked, too, only a reset of the card by its maker's program helps; the reader keeps what was on it."},
		{busapi.ErrWrongPIN, "'scrctl card status' says how many tries are left; the card's PUK gives them back: scrctl card pin set"},
		{busapi.ErrWrongPasscode, a.afterWrong()},
		{busapi.ErrLockedOut, a.afterLockOut()},
		{busapi.ErrNoLink, "Switch Bluetooth on here (rfkill unblock bluetooth; bluetoothctl power on), then run the command again."},
		{busapi.ErrOutOfRange, "Bring the reader near, and see that it is switched on."},
		{busapi.ErrNoData, "Run 'scrctl backup' while the data is there; 'scrctl snapshots' lists what the reader holds."},
		{busapi.ErrCard, "'scrctl card status' says more about the card."},
		{busapi.ErrOverQuota, "Save less, or raise this device's quota in the reader's scrd.toml; 'scrctl reader devices' there says what is in use."},
		{busapi.ErrBusy, "Wait for what is running; 'scrctl status' says what it is."},
		{busapi.ErrNotAllowed, "Run it as root, or have the administrator allow it in polkit."},
	}
}

func (a *app) afterWrong() string {
	if a.doing == doingReprovision {
		return "The reader counts wrong passcodes; the recovery code is taken in place of one."
	}
	return "A wrong passcode is void: run the command again with the new one that the reader shows."
}

func (a *app) afterLockOut() string {
	if a.doing == doingReprovision {
		return "Wait as long as the reader says; if it takes none at all, enter the recovery code in place of the passcode."
	}
	return "Wait a while, then press the reader's button again."
}

// unit is the systemd unit that the command needed.
func (a *app) unit() string {
	if a.side == sideReader {
		return "scrd"
	}
	return "reprovisiond"
}
