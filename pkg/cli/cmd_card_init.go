package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/reprovision/reprovision/pkg/busapi"
)

// cardInit prepares a card. The daemon is told which one the owner was asked about.
func (a *app) cardInit(ctx context.Context, choice busapi.CardChoice, sure bool) error {
	if !sure && a.noInput {
		return fmt.Errorf("%w: --yes is missing", busapi.ErrInputNeeded)
	}
	return a.withReader(ctx, func(c *busapi.ReaderClient) error {
		status, err := c.CardStatus(ctx)
		if err != nil {
			return err
		}
		asked, err := chooseCard(status, choice)
		if err != nil {
			return err
		}
		choice.Reader, choice.Identity, choice.Expect = asked.Reader, asked.Identity, true
		if err := a.askForCard(ctx, asked, choice.Force, sure); err != nil {
			return err
		}
		card, err := c.CardInit(ctx, choice)
		if err != nil {
			return err
		}
		return a.say(card, func(p *printer) { p.line("The card is ready: %s", cardLine(p, card)) })
	})
}

func (a *app) askForCard(ctx context.Context, card busapi.OtherCard, force, sure bool) error {
	if sure {
		return nil
	}
	yes, err := a.yes(ctx, initQuestion(card, force))
	if err != nil {
		return err
	}
	if !yes {
		return busapi.ErrDeclined
	}
	return nil
}

// initQuestion says which card is to be prepared: where it is, what is on it, and how it
// is known from others.
func initQuestion(card busapi.OtherCard, force bool) string {
	where := "in the reader"
	if card.Reader != "" {
		where = "in " + printable(card.Reader)
	}
	question := "Prepare the card " + where + " (" + otherLine(&printer{}, card) + ")"
	if force {
		question += ", and lose what this reader's devices have on it"
	}
	return question + "?"
}

// otherLine is what is known of a card in one line.
func otherLine(p *printer, card busapi.OtherCard) string {
	info := busapi.CardInfo{
		State: card.State, Profile: card.Profile, Capacity: card.Capacity, Used: card.Used, Generation: card.Generation,
		Detail: card.Detail, Device: card.Device, PINTries: -1,
	}
	line := cardLine(p, info)
	if card.Identity != "" {
		line += ", identity " + printable(card.Identity)
	}
	return line
}

// chooseCard finds the card that is meant. Where several are in, it is the only one that
// holds no data, or it must be named.
func chooseCard(status busapi.CardInfo, choice busapi.CardChoice) (busapi.OtherCard, error) {
	all := append([]busapi.OtherCard{{
		Reader: status.Reader, State: status.State, Profile: status.Profile, Identity: status.Identity, Device: status.Device,
		Capacity: status.Capacity, Used: status.Used, Generation: status.Generation, Detail: status.Detail,
	}}, status.Others...)
	if len(all) == 1 && (choice.Reader == "" || status.Reader == "") {
		all[0].Reader = choice.Reader + status.Reader
		return all[0], nil
	}
	var fit []busapi.OtherCard
	var names []string
	for _, c := range all {
		names = append(names, printable(c.Reader))
		if c.Reader == choice.Reader || choice.Reader == "" && !choice.Force && c.State == "unformatted" {
			fit = append(fit, c)
		}
	}
	if len(fit) != 1 {
		return busapi.OtherCard{}, fmt.Errorf("%w: --reader must name one of the readers with a card in: %s",
			busapi.ErrInvalidArguments, strings.Join(names, ", "))
	}
	return fit[0], nil
}
