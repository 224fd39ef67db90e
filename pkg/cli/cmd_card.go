package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/reprovision/reprovision/pkg/busapi"
)

func (a *app) cardCommand() *cobra.Command {
	var choice busapi.CardChoice
	var sure bool
	initialize := a.command("init", "Prepare the card for the reader's data", "prepare the card", cobra.NoArgs,
		func(ctx context.Context, _ []string) error { return a.cardInit(ctx, choice, sure) })
	initialize.Flags().BoolVar(&choice.Force, "force", false, "even where it holds data already, which is then lost")
	initialize.Flags().StringVar(&choice.Reader, "reader", "", "name of the card reader, where several have a card in")
	initialize.Flags().BoolVarP(&sure, "yes", "y", false, "do not ask first")
	return a.group("card", "The smart card in the reader",
		a.command("status", "Show the card", "get the card's status", cobra.NoArgs, a.cardStatus),
		initialize, a.pinCommand(),
		a.command("verify", "Read the whole card back", "verify the card", cobra.NoArgs, a.cardVerify),
	)
}

func (a *app) cardStatus(ctx context.Context, _ []string) error {
	return a.withReader(ctx, func(c *busapi.ReaderClient) error {
		card, err := c.CardStatus(ctx)
		if err != nil {
			return err
		}
		return a.print(card, func(p *printer) {
			p.line("%s", cardLine(p, card))
			for _, o := range card.Others {
				p.line("In %s: %s", printable(o.Reader), otherLine(p, o))
			}
		})
	})
}

func (a *app) cardVerify(ctx context.Context, _ []string) error {
	return a.withReader(ctx, func(c *busapi.ReaderClient) error {
		r, err := c.CardVerify(ctx)
		if err != nil {
			return err
		}
		err = a.print(r, func(p *printer) {
			p.line("%s", verifyLine(p, r))
			for _, v := range r.Versions {
				p.line("  %s", versionLine(v))
			}
		})
		if err == nil && !r.Whole {
			return outcome{exitCard}
		}
		return err
	})
}

// verifyLine says what became of the version that was written last.
func verifyLine(p *printer, r busapi.CardReport) string {
	read := fmt.Sprintf("%s, %s read back.", count(r.Blobs, "blob"), size(r.Bytes))
	switch {
	case r.Whole:
		return "The card is whole: " + read
	case r.Lost > 0 && r.Bytes > 0:
		return p.paint(red, fmt.Sprintf("The newest version on the card, generation %d, is damaged. The one before is whole: %s", r.Lost, read))
	}
	return p.paint(red, "Nothing on the card is whole: "+cardLine(&printer{}, r.Card))
}

func versionLine(v busapi.CardVersion) string {
	line := printable(v.State)
	if v.Generation > 0 {
		line = fmt.Sprintf("generation %d: %s, %s", v.Generation, line, size(v.Bytes))
	}
	if v.Newest {
		line += ", the newest that is whole"
	}
	return line
}

// leftOut names what of the critical classes is not on the card.
func leftOut(on []string) string {
	if len(on) > 0 {
		return "keys"
	}
	return "service books and keys"
}

// cardLine is the state of a card in one line.
func cardLine(p *printer, c busapi.CardInfo) string {
	state := printable(c.State)
	switch c.State {
	case "ok":
		state = p.paint(green, state)
	case "none":
		return "none"
	default:
		state = p.paint(yellow, state)
	}
	if c.Detail != "" {
		state += " (" + printable(c.Detail) + ")"
	}
	if c.Profile != "" {
		state += ", " + printable(c.Profile)
	}
	if c.Device != "" {
		state += ", of " + printable(c.Device)
	}
	if c.Capacity > 0 {
		state += fmt.Sprintf(", %s of %s, generation %d", size(c.Used), size(c.Capacity), c.Generation)
	}
	if c.LeftOut > 0 {
		state += fmt.Sprintf("; not on the card: %s as they are now: both take %s, %s too many", leftOut(c.Classes), size(c.Needed), size(c.LeftOut))
	}
	if c.Elsewhere > 0 {
		state += fmt.Sprintf("; preferences and user data are not for the card: %s in the reader's store", size(c.Elsewhere))
	}
	if text := pinText(c.PIN, c.PINTries); text != "" {
		if c.PIN == "blocked" || c.PINTries == 1 {
			text = p.paint(red, text)
		}
		state += ", " + text
	}
	if c.CardKey {
		state += ", card key"
	}
	if c.Repaired > 0 {
		state += ", written anew on " + time.Unix(c.Repaired, 0).Format(time.DateOnly) + " because nothing on it was whole"
	}
	return state
}
