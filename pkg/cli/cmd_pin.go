package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/reprovision/reprovision/pkg/busapi"
)

// pinFlags say where the codes come from that nobody is asked for.
type pinFlags struct {
	pin, new, puk string // files
	sure          bool   // even where one try is left
}

func (f *pinFlags) add(cmd *cobra.Command, names ...string) *cobra.Command {
	for _, name := range names {
		switch name {
		case "pin":
			cmd.Flags().StringVar(&f.pin, "pin-file", "", "read the card's PIN from the first line of this `FILE`")
			cmd.Flags().BoolVarP(&f.sure, "yes", "y", false, "do not ask first where one try is left")
		case "new":
			cmd.Flags().StringVar(&f.new, "new-pin-file", "", "read the new PIN from the first line of this `FILE`")
		case "puk":
			cmd.Flags().StringVar(&f.puk, "puk-file", "", "read the card's PUK from the first line of this `FILE`")
		}
	}
	return cmd
}

func (a *app) pinCommand() *cobra.Command {
	var f pinFlags
	return a.group("pin", "The PIN of the smart card",
		f.add(a.command("set", "Give the card a PIN, with its PUK where it has one that is blocked or forgotten", "set the card's PIN",
			cobra.NoArgs, func(ctx context.Context, _ []string) error { return a.pinSet(ctx, f) }), "new", "puk"),
		f.add(a.command("change", "Change the card's PIN", "change the card's PIN",
			cobra.NoArgs, func(ctx context.Context, _ []string) error { return a.pinChange(ctx, f) }), "pin", "new"),
		f.add(a.command("clear", "Make the card not ask for its PIN any more", "clear the card's PIN",
			cobra.NoArgs, func(ctx context.Context, _ []string) error { return a.pinClear(ctx, f) }), "pin"),
	)
}

func (a *app) pinSet(ctx context.Context, f pinFlags) error {
	return a.withReader(ctx, func(c *busapi.ReaderClient) error {
		now, err := c.CardPIN(ctx)
		if err != nil {
			return err
		}
		var codes busapi.PINCodes
		if has := now.PIN == "set" || now.PIN == "blocked"; has || f.puk != "" {
			a.note("%s", pinText(now.PIN, now.Tries))
			if codes.PUK, err = a.code(ctx, "The card's PUK: ", f.puk, "PUK", "--puk-file"); err != nil {
				return err
			}
		}
		if codes.New, err = a.newCode(ctx, f.new); err != nil {
			return err
		}
		return a.pinDone("The card has a new PIN")(c.CardSetPIN(ctx, codes))
	})
}

func (a *app) pinChange(ctx context.Context, f pinFlags) error {
	return a.withReader(ctx, func(c *busapi.ReaderClient) error {
		pin, err := a.presentPIN(ctx, c, f)
		if err != nil {
			return err
		}
		next, err := a.newCode(ctx, f.new)
		if err != nil {
			return err
		}
		return a.pinDone("The card has a new PIN")(c.CardChangePIN(ctx, busapi.PINCodes{PIN: pin, New: next}))
	})
}

func (a *app) pinClear(ctx context.Context, f pinFlags) error {
	return a.withReader(ctx, func(c *busapi.ReaderClient) error {
		pin, err := a.presentPIN(ctx, c, f)
		if err != nil {
			return err
		}
		return a.pinDone("The card does not ask for its PIN any more")(c.CardClearPIN(ctx, busapi.PINCodes{PIN: pin}))
	})
}

// presentPIN gets the card's PIN, after it was said how many tries are left.
// Nobody loses the last one by mistake.
func (a *app) presentPIN(ctx context.Context, c *busapi.ReaderClient, f pinFlags) (string, error) {
	now, err := c.CardPIN(ctx)
	if err != nil {
		return "", err
	}
	switch {
	case now.PIN == "blocked":
		return "", busapi.ErrPINBlocked
	case now.PIN == "none":
		return "", fmt.Errorf("%w: it has no PIN", busapi.ErrCard)
	case now.Tries == 1 && !f.sure:
		if err := a.lastTry(ctx, "--yes"); err != nil {
			return "", err
		}
	}
	return a.code(ctx, fmt.Sprintf("The card's PIN (%s): ", triesText(now.Tries)), f.pin, "PIN", "--pin-file")
}

// lastTry asks whether the last try is to be spent; flag is what says so beforehand.
func (a *app) lastTry(ctx context.Context, flag string) error {
	if a.noInput {
		return fmt.Errorf("%w: one try is left, and %s is missing", busapi.ErrInputNeeded, flag)
	}
	yes, err := a.yes(ctx, "One try is left: a wrong PIN blocks the card's PIN. Go on?")
	if err == nil && !yes {
		err = busapi.ErrDeclined
	}
	return err
}

// code reads a code from a file, or asks for it.
func (a *app) code(ctx context.Context, question, file, what, flag string) (string, error) {
	if file != "" {
		return readSecretFile(ctx, file, what)
	}
	if a.noInput {
		return "", fmt.Errorf("%w: %s is missing", busapi.ErrInputNeeded, flag)
	}
	code, err := a.ask(ctx, question, true)
	if err == nil && code == "" {
		err = fmt.Errorf("%w: no %s was entered", busapi.ErrDeclined, what)
	}
	return code, err
}

// newCode is code for a new PIN, which a person enters twice: nobody sees it.
func (a *app) newCode(ctx context.Context, file string) (string, error) {
	code, err := a.code(ctx, "New PIN: ", file, "PIN", "--new-pin-file")
	if err != nil || file != "" || !a.in.terminal {
		return code, err
	}
	again, err := a.ask(ctx, "New PIN again: ", true)
	if err == nil && again != code {
		err = fmt.Errorf("%w: the two new PINs differ", busapi.ErrInvalidArguments)
	}
	return code, err
}

// pinDone says what was done.
func (a *app) pinDone(text string) func(busapi.PINInfo, error) error {
	return func(now busapi.PINInfo, err error) error {
		if err != nil {
			return err
		}
		return a.say(now, func(p *printer) { p.line("%s (%s).", text, pinText(now.PIN, now.Tries)) })
	}
}

// pinText is how a PIN stands, in a few words; empty for a card that can have none.
func pinText(state string, tries int64) string {
	switch state {
	case "":
		return ""
	case "set":
		return "PIN with " + triesText(tries)
	case "blocked":
		return "PIN blocked"
	case "none":
		return "no PIN"
	}
	return "PIN " + printable(state)
}

func triesText(tries int64) string {
	switch tries {
	case -1:
		return "the card does not say how many tries are left"
	case 1:
		return "1 try left"
	}
	return fmt.Sprintf("%d tries left", tries)
}
