package desktop

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/desktop/pinentry"
)

// noticeTime bounds how long the showing of a notice may take.
const noticeTime = 10 * time.Second

// Config is what Open takes.
type Config struct {
	Pinentry string                           // name or path of the program
	TTY      string                           // for a pinentry without a window; empty for none
	Term     string                           // and its type
	Note     func(format string, args ...any) // for what could not be shown
}

// Desktop asks and tells the owner on the session's desktop. It is safe for
// concurrent use.
type Desktop struct {
	Config
	notes notes
	conn  *dbus.Conn
}

var (
	_ busapi.Prompter = (*Desktop)(nil)
	_ busapi.Notifier = (*Desktop)(nil)
)

// Open connects to the session bus that the environment names. The caller closes it.
func Open(env func(string) string, c Config) (*Desktop, error) {
	address := env("DBUS_SESSION_BUS_ADDRESS")
	if dir := env("XDG_RUNTIME_DIR"); address == "" && dir != "" {
		address = "unix:path=" + dir + "/bus"
	}
	if address == "" {
		return nil, fmt.Errorf("cannot find the session bus: %w", busapi.ErrNotRunning)
	}
	conn, err := busapi.Connect(address)
	if err != nil {
		return nil, err
	}
	return &Desktop{Config: c, notes: notes{conn}, conn: conn}, nil
}

// Close leaves the session bus.
func (d *Desktop) Close() error { return d.conn.Close() }

// PairingPasscode implements busapi.Prompter (step 420).
func (d *Desktop) PairingPasscode(ctx context.Context, reader string, retry bool) (string, error) {
	q := d.question("Pairing with a smart card reader", fmt.Sprintf("The display of the reader %s shows a passcode.", shown(reader)), "Passcode:")
	if retry {
		q.Error = "That passcode was wrong. The reader shows a new one."
	}
	return d.enter(ctx, q)
}

// CardPIN implements busapi.Prompter (step 618).
func (d *Desktop) CardPIN(ctx context.Context, reader string, left int64, retry bool) (string, error) {
	q := d.question("PIN of the smart card", fmt.Sprintf("The PIN of the card in the reader %s is needed.", shown(reader)), "PIN:")
	q.Error = wrong("PIN", left, retry)
	return d.enter(ctx, q)
}

// NewPasscode implements busapi.Prompter.
func (d *Desktop) NewPasscode(ctx context.Context, change bool) (string, error) {
	text := "Choose a passcode. A replacement for this device needs it to get the data back."
	if change {
		text = "Choose another passcode, which takes the place of the one that is set."
	}
	q := d.question("Passcode for restoring", text, "New passcode:")
	q.Repeat = "The same once more:"
	return d.enter(ctx, q)
}

// Passcode implements busapi.Prompter (step 618).
func (d *Desktop) Passcode(ctx context.Context, device string, left int64, retry bool) (string, error) {
	text := fmt.Sprintf("The data of %s open with their passcode, or with their recovery code.", shown(device))
	q := d.question("Passcode for restoring", text, "Passcode:")
	q.Error = wrong("passcode", left, retry)
	return d.enter(ctx, q)
}

// ConfirmReprovision implements busapi.Prompter (step 622).
func (d *Desktop) ConfirmReprovision(ctx context.Context, s busapi.ReprovisionResult) (bool, error) {
	key, err := d.choose(ctx, note{
		summary: "Restore from the smart card reader?", body: describe(s), urgency: urgent,
		actions: []action{{"restore", "Restore"}, {"leave", "Not now"}},
	})
	return key == "restore", err
}

// AutoBackup implements busapi.Prompter (step 514).
func (d *Desktop) AutoBackup(ctx context.Context, q busapi.AutoBackupQuestion) (busapi.AutoBackupSettings, error) {
	const week = 7 * 24 * 3600
	key, err := d.choose(ctx, note{
		summary: "Back up by itself?", urgency: normal,
		body:    fmt.Sprintf("This device can back up to %s by itself, when it is near and something has changed.", shown(q.Reader)),
		actions: []action{{"often", every(q.Every)}, {"week", every(week)}, {"never", "Never"}, {"later", "Not now"}},
	})
	s := busapi.AutoBackupSettings{Mode: q.Mode}
	switch key {
	case "often":
		s.Every = q.Every
	case "week":
		s.Every = week
	case "never":
	default:
		return s, orDeclined(err)
	}
	return s, err
}

// Pairing implements busapi.Prompter (steps 522 and 414).
func (d *Desktop) Pairing(ctx context.Context, q busapi.PairingQuestion) (string, error) {
	text := "A backup is due, and this device has no reader."
	if q.Overdue {
		text = "A backup is OVERDUE, and this device has no reader."
	}
	if !q.Retry {
		key, err := d.choose(ctx, note{
			summary: "Pair with a smart card reader?", body: text, urgency: urgent,
			actions: []action{{"pair", "Pair"}, {"later", "Not now"}},
		})
		if err != nil || key != "pair" {
			return "", orDeclined(err)
		}
	}
	ask := d.question("Pairing with a smart card reader", text+"\nPress the button of one, and enter the address that its display shows.", "Address:")
	if q.Retry {
		ask.Error = "That did not work: " + shown(q.Reason)
	}
	return d.enter(ctx, ask)
}

// Notify implements busapi.Notifier.
func (d *Desktop) Notify(n busapi.Notice) {
	ctx, cancel := context.WithTimeout(context.Background(), noticeTime)
	defer cancel()
	what := note{summary: "Backup of this device", body: shown(n.Text), urgency: low}
	if n.Level == busapi.NoticeWarning {
		what.urgency = normal
	}
	if err := d.notes.show(ctx, what); err != nil {
		d.Note("%s (%v)", shown(n.Text), err)
	}
}

func (d *Desktop) question(title, text, prompt string) pinentry.Question {
	return pinentry.Question{Program: d.Pinentry, TTY: d.TTY, Term: d.Term, Title: title, Description: text, Prompt: prompt}
}

// enter has the owner enter a text.
func (d *Desktop) enter(ctx context.Context, q pinentry.Question) (string, error) {
	text, err := q.Ask(ctx)
	if err == nil && strings.TrimSpace(text) == "" {
		err = pinentry.ErrCanceled
	}
	return text, d.outcome(ctx, err)
}

// choose has the owner press a button; where there are none, pinentry asks, and its yes
// is the first.
func (d *Desktop) choose(ctx context.Context, what note) (string, error) {
	key, err := d.notes.ask(ctx, what)
	if errors.Is(err, errNoService) {
		q := d.question(what.summary, what.summary+"\n\n"+what.body, "")
		key, err = what.actions[0].key, q.Confirm(ctx)
	}
	return key, d.outcome(ctx, err)
}

// outcome names an error as an agent does.
func (d *Desktop) outcome(ctx context.Context, err error) error {
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case errors.Is(err, pinentry.ErrCanceled), errors.Is(err, errDismissed):
		return fmt.Errorf("%w: %w", busapi.ErrDeclined, err)
	}
	d.Note("cannot ask: %v", err)
	return fmt.Errorf("%w: %w", busapi.ErrInputNeeded, err)
}

// orDeclined is an error, or that the owner does not want to say now.
func orDeclined(err error) error {
	if err == nil {
		err = fmt.Errorf("%w: not now", busapi.ErrDeclined)
	}
	return err
}
