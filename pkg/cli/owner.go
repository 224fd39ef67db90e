package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/reprovision/reprovision/pkg/busapi"
)

// maxTries is how many passcodes a person at a terminal may try in one run.
const maxTries = 3

// maxShown is how many items a question lists.
const maxShown = 12

// owner answers the daemon's prompts for one command: from the command line
// where that has the answer, else from standard input. It is a busapi.Prompter.
type owner struct {
	*app
	passcode string // from a flag
	file     string // holds the passcode; read when it is asked for, for the reader shows none before
	pinFile  string // holds the card's PIN
	last     bool   // the PIN may be its last try
	asked    func() // a note about the time that it takes is not due any more
	attends  bool   // it is no command that asks, but scrctl agent: see attend.go

	mu      sync.Mutex // prompts come from other goroutines
	tries   int        // passcodes that a person was asked for
	refusal error      // why the last prompt got no answer
}

// another tells whether a person may be asked for one more passcode.
func (o *owner) another(retry bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tries++
	return !retry || o.attends || o.in.terminal && o.tries <= maxTries
}

func (o *owner) refuse(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refusal = err
}

// explain puts the command's own reason in place of what became of it on its
// way through the daemon.
func (o *owner) explain(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err == nil || errors.Is(err, busapi.ErrLockedOut) || o.refusal == nil:
		return err
	case errors.Is(err, busapi.ErrWrongPasscode) && !errors.Is(o.refusal, busapi.ErrWrongPasscode):
		return err
	}
	return o.refusal
}

// PairingPasscode implements busapi.Prompter (step 420).
func (o *owner) PairingPasscode(ctx context.Context, _ string, retry bool) (code string, err error) {
	if o.asked != nil {
		o.asked()
	}
	defer func() { o.refuse(err) }()
	if !retry && o.passcode != "" {
		return o.passcode, nil
	}
	if !retry && o.file != "" {
		return readSecretFile(ctx, o.file, "passcode")
	}
	if o.passcode != "" || o.file != "" || !o.another(retry) {
		return "", fmt.Errorf("%w, and there is no other", busapi.ErrWrongPasscode)
	}
	if retry {
		fmt.Fprintln(o.err, "That passcode was wrong. The reader shows a new one.")
	}
	code, err = o.ask(ctx, "Passcode shown on the reader's display: ", true)
	if err == nil && code == "" {
		return "", fmt.Errorf("%w: no passcode was entered", busapi.ErrDeclined)
	}
	return code, err
}

// CardPIN implements busapi.Prompter (step 618).
func (o *owner) CardPIN(ctx context.Context, reader string, left int64, retry bool) (pin string, err error) {
	defer func() { o.refuse(err) }()
	if !retry && o.file != "" { // a recovery code, or whatever it is
		return readSecretFile(ctx, o.file, "recovery code")
	}
	if retry && (o.pinFile != "" || o.file != "" || !o.another(retry)) {
		return "", fmt.Errorf("%w: %s", busapi.ErrWrongPIN, triesText(left))
	}
	if retry {
		fmt.Fprintf(o.err, "That PIN was wrong, %s.\n", triesText(left))
	} else {
		o.another(retry)
	}
	if left == 1 && !o.last {
		if err := o.lastTry(ctx, "--last-try"); err != nil {
			return "", err
		}
	}
	return o.code(ctx, fmt.Sprintf("PIN of the card in %s (%s): ", printable(reader), triesText(left)), o.pinFile, "PIN", "--pin-file")
}

// NewPasscode implements busapi.Prompter.
func (o *owner) NewPasscode(ctx context.Context, _ bool) (code string, err error) {
	defer func() { o.refuse(err) }()
	if o.passcode != "" {
		return o.passcode, nil
	}
	if o.file != "" {
		return readSecretFile(ctx, o.file, "passcode")
	}
	if code, err = o.ask(ctx, "New passcode for restoring: ", true); err != nil {
		return "", err
	}
	if code == "" {
		return "", fmt.Errorf("%w: no passcode was entered", busapi.ErrDeclined)
	}
	if !o.in.terminal {
		return code, nil // who writes into a pipe makes no slips
	}
	again, err := o.ask(ctx, "The same once more: ", true)
	if err == nil && again != code {
		err = fmt.Errorf("%w: the two are not the same", busapi.ErrInvalidArguments)
	}
	return code, err
}

// Passcode implements busapi.Prompter (step 618).
func (o *owner) Passcode(ctx context.Context, device string, left int64, retry bool) (code string, err error) {
	defer func() { o.refuse(err) }()
	if !retry && o.passcode != "" {
		return o.passcode, nil
	}
	if !retry && o.file != "" {
		return readSecretFile(ctx, o.file, "passcode")
	}
	if o.passcode != "" || o.file != "" || !o.another(retry) {
		return "", fmt.Errorf("%w, and there is no other", busapi.ErrWrongPasscode)
	}
	if retry {
		fmt.Fprintf(o.err, "That passcode was wrong%s.\n", leftText(left))
	}
	code, err = o.ask(ctx, fmt.Sprintf("Passcode (or recovery code) for the data of %s: ", printable(device)), true)
	if err == nil && code == "" {
		return "", fmt.Errorf("%w: no passcode was entered", busapi.ErrDeclined)
	}
	return code, err
}

// leftText is how many tries are left, where that is known.
func leftText(left int64) string {
	if left < 0 {
		return ""
	}
	return ", " + triesText(left)
}

// ConfirmReprovision implements busapi.Prompter (step 622).
func (o *owner) ConfirmReprovision(ctx context.Context, s busapi.ReprovisionResult) (yes bool, err error) {
	defer func() { o.refuse(err) }()
	if o.noInput {
		return false, fmt.Errorf("%w: --yes is missing", busapi.ErrInputNeeded)
	}
	defer o.progress.pause()()
	fmt.Fprintf(o.err, "Snapshot %s brings back %s:\n", printable(s.Snapshot), count(s.Planned, "item"))
	for _, f := range s.Items[:min(len(s.Items), maxShown)] {
		fmt.Fprintf(o.err, "  %-12s %-14s %s\n", printable(f.Verdict), printable(f.Class), printable(f.Path))
	}
	if more := s.Planned - maxShown; more > 0 {
		fmt.Fprintf(o.err, "  and %d more\n", more)
	}
	if s.Quarantined > 0 {
		fmt.Fprintf(o.err, "Replaced, and kept in the quarantine: %s.\n", count(s.Quarantined, "item"))
	}
	if n := int64(len(s.Kept)); n > 0 {
		fmt.Fprintf(o.err, "Changed since then, and left as now: %s.\n", count(n, "item"))
	}
	return o.yes(ctx, "Go on?")
}
