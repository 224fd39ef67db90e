package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/reprovision/reprovision/pkg/busapi"
)

// What only scrctl agent answers; a command that asks something of the device has its
// own question, and leaves these to whoever attends to them.
var _ busapi.Notifier = attendant{}

// notAttending passes a question on to another agent.
func notAttending() error {
	return fmt.Errorf("%w: this is a command, and no agent", busapi.ErrInputNeeded)
}

// AutoBackup implements busapi.Prompter (step 514).
func (o *owner) AutoBackup(context.Context, busapi.AutoBackupQuestion) (busapi.AutoBackupSettings, error) {
	return busapi.AutoBackupSettings{}, notAttending()
}

// Pairing implements busapi.Prompter (step 522).
func (o *owner) Pairing(context.Context, busapi.PairingQuestion) (string, error) {
	return "", notAttending()
}

// attendant answers prompts at a terminal, or from a pipe, for as long as it runs.
type attendant struct {
	*owner
	turn chan struct{} // held by the question that is on the screen
}

func newAttendant(a *app) attendant {
	return attendant{owner: &owner{app: a, attends: true}, turn: make(chan struct{}, 1)}
}

// attend prepares for a question, and says at its end that it is moot if it is. One
// that is moot takes a moment to go, and must not read the answer to the next.
func (a attendant) attend(ctx context.Context) (end func()) {
	a.turn <- struct{}{}
	a.in.forget()
	return func() {
		if ctx.Err() != nil {
			fmt.Fprintln(a.err, "(not needed any more)")
		}
		<-a.turn
	}
}

// PairingPasscode implements busapi.Prompter (step 420).
func (a attendant) PairingPasscode(ctx context.Context, reader string, retry bool) (string, error) {
	defer a.attend(ctx)()
	return a.owner.PairingPasscode(ctx, reader, retry)
}

// CardPIN implements busapi.Prompter (step 618).
func (a attendant) CardPIN(ctx context.Context, reader string, left int64, retry bool) (string, error) {
	defer a.attend(ctx)()
	return a.owner.CardPIN(ctx, reader, left, retry)
}

// NewPasscode implements busapi.Prompter.
func (a attendant) NewPasscode(ctx context.Context, change bool) (string, error) {
	defer a.attend(ctx)()
	return a.owner.NewPasscode(ctx, change)
}

// Passcode implements busapi.Prompter (step 618).
func (a attendant) Passcode(ctx context.Context, device string, left int64, retry bool) (string, error) {
	defer a.attend(ctx)()
	return a.owner.Passcode(ctx, device, left, retry)
}

// ConfirmReprovision implements busapi.Prompter (step 622).
func (a attendant) ConfirmReprovision(ctx context.Context, s busapi.ReprovisionResult) (bool, error) {
	defer a.attend(ctx)()
	return a.owner.ConfirmReprovision(ctx, s)
}

// AutoBackup implements busapi.Prompter (step 514). What is no answer is asked again.
func (a attendant) AutoBackup(ctx context.Context, q busapi.AutoBackupQuestion) (busapi.AutoBackupSettings, error) {
	defer a.attend(ctx)()
	fmt.Fprintf(a.err, "This device can back up to %s by itself: only what has changed, each time after a while.\n", printable(q.Reader))
	for {
		text, err := a.ask(ctx, fmt.Sprintf("How often? (30m, 24h, 7d; \"never\"; empty for not now; %s is proposed) ", span(q.Every)), false)
		switch {
		case err != nil:
			return busapi.AutoBackupSettings{}, err
		case text == "":
			return busapi.AutoBackupSettings{}, fmt.Errorf("%w: not now", busapi.ErrDeclined)
		case strings.EqualFold(text, "never"):
			return busapi.AutoBackupSettings{Mode: q.Mode}, nil
		}
		seconds, err := parseEvery(text)
		if err == nil {
			return busapi.AutoBackupSettings{Every: seconds, Mode: q.Mode}, nil
		}
		fmt.Fprintf(a.err, "%s.\n", printable(err.Error()))
	}
}

// Pairing implements busapi.Prompter (steps 522 and 414).
func (a attendant) Pairing(ctx context.Context, q busapi.PairingQuestion) (string, error) {
	defer a.attend(ctx)()
	switch {
	case q.Retry:
		fmt.Fprintf(a.err, "Cannot pair: %s.\n", printable(q.Reason))
	case q.Overdue:
		fmt.Fprintln(a.err, "A backup is OVERDUE, and there is no reader.")
	default:
		fmt.Fprintln(a.err, "A backup is due, and there is no reader.")
	}
	for {
		text, err := a.ask(ctx, "Press the reader's button. The address that it shows (empty for not now): ", false)
		if err != nil {
			return "", err
		}
		if text == "" {
			return "", fmt.Errorf("%w: not now", busapi.ErrDeclined)
		}
		address, err := busapi.ParseAddress(text)
		if err == nil {
			return address, nil
		}
		fmt.Fprintf(a.err, "%s.\n", printable(err.Error()))
	}
}

// Notify implements busapi.Notifier.
func (a attendant) Notify(n busapi.Notice) {
	if n.Level == busapi.NoticeWarning || !a.quiet {
		fmt.Fprintf(a.err, "%s %s\n", a.now().Format(time.TimeOnly), printable(n.Text))
	}
}

// attendTo answers prompts until it is interrupted.
func (a *app) attendTo(ctx context.Context, p busapi.Prompter, quiet bool) error {
	a.side = sideDevice
	err := busapi.KeepAgent(ctx, a.env, p, busapi.AgentOptions{Quiet: quiet, Standing: a.tellStanding})
	if err == nil || errors.Is(err, context.Canceled) {
		return nil // interrupted is how it ends
	}
	return err
}

func (a *app) tellStanding(s busapi.Standing) {
	switch s {
	case busapi.StandingOwner:
		a.note("answering what this device asks its owner")
	case busapi.StandingUser:
		a.note("answering what programs of this user cause; polkit does not let it answer for the owner")
	case busapi.StandingAway:
		a.note("waiting for reprovisiond, which is not running")
	}
}
