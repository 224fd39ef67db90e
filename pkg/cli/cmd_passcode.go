package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/reprovision/reprovision/pkg/busapi"
)

func (a *app) passcodeCommand() *cobra.Command {
	var cardPIN bool
	var pinFile string
	set := a.command("set", "Have a replacement device need a passcode", "set the passcode", cobra.NoArgs,
		func(ctx context.Context, _ []string) error { return a.passcodeSet(ctx, cardPIN, pinFile) })
	set.Flags().BoolVar(&cardPIN, "card-pin", false, "it is the PIN of the card in the reader")
	set.Flags().StringVar(&pinFile, "pin-file", "", "read the card's PIN from the first line of this `FILE`")
	return a.group("passcode", "The passcode by which a replacement device gets this one's data", set,
		a.command("clear", "Let any device have the data that the reader is paired with", "clear the passcode", cobra.NoArgs, a.passcodeClear))
}

// passcodeDone is what both commands answer with.
type passcodeDone struct {
	Mode string `json:"mode"` // card-pin, none
}

func (a *app) passcodeSet(ctx context.Context, cardPIN bool, pinFile string) error {
	if !cardPIN {
		return usageError{errors.New("--card-pin is missing")}
	}
	return a.withDevice(ctx, func(c *busapi.DeviceClient) error {
		answers := &owner{app: a, pinFile: pinFile}
		stop, err := c.ServeAgent(ctx, answers)
		if err != nil {
			return err
		}
		defer stop()
		if err := c.SetPasscode(ctx, busapi.PasscodeRequest{CardPIN: true}); err != nil {
			return answers.explain(err)
		}
		return a.say(passcodeDone{"card-pin"}, func(p *printer) { p.line("A replacement device now needs the card and its PIN.") })
	})
}

func (a *app) passcodeClear(ctx context.Context, _ []string) error {
	return a.withDevice(ctx, func(c *busapi.DeviceClient) error {
		if err := c.ClearPasscode(ctx); err != nil {
			return err
		}
		return a.say(passcodeDone{"none"}, func(p *printer) { p.line("A replacement device now needs no passcode.") })
	})
}
