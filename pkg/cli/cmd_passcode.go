package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/reprovision/reprovision/pkg/busapi"
)

// secretFlags are those that a passcode, or a recovery code, comes by.
func (o *owner) secretFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.passcode, "passcode", "", "the passcode; other users can see a command line, so for tests and scripts only")
	cmd.Flags().StringVar(&o.file, "passcode-file", "", "read the passcode, or the recovery code, from the first line of this `FILE`")
	_ = cmd.Flags().MarkHidden("passcode") // fails for a flag that is not there only
	cmd.MarkFlagsMutuallyExclusive("passcode", "passcode-file")
}

func (a *app) passcodeCommand() *cobra.Command {
	return a.group("passcode", "The passcode that a replacement device needs",
		a.setPasscodeCommand("set", "Set the passcode", "set the passcode", false),
		a.setPasscodeCommand("change", "Set another passcode", "change the passcode", true),
		a.command("clear", "Take the passcode away: whoever has the reader has the data", "clear the passcode", cobra.NoArgs,
			func(ctx context.Context, _ []string) error { return a.clearPasscode(ctx) }))
}

func (a *app) setPasscodeCommand(use, short, doing string, change bool) *cobra.Command {
	answers, req := &owner{app: a}, busapi.PasscodeRequest{Change: change}
	cmd := a.command(use, short, doing, cobra.NoArgs,
		func(ctx context.Context, _ []string) error { return a.setPasscode(ctx, req, answers) })
	answers.secretFlags(cmd)
	if !change {
		cmd.Flags().BoolVar(&req.CardPIN, "card-pin", false, "it is the PIN of the card in the reader, in place of a passcode")
		answers.pinFlag(cmd)
		for _, of := range []string{"passcode", "passcode-file"} {
			cmd.MarkFlagsMutuallyExclusive("card-pin", of)
		}
	}
	return cmd
}

// pinFlag is the one that the card's PIN comes by.
func (o *owner) pinFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.pinFile, "pin-file", "", "read the card's PIN from the first line of this `FILE`")
	cmd.Flags().BoolVar(&o.last, "last-try", false, "do not ask first where the card's PIN has one try left")
}

func (a *app) setPasscode(ctx context.Context, req busapi.PasscodeRequest, answers *owner) error {
	if answers.pinFile != "" && !req.CardPIN {
		return usageError{errors.New("--pin-file is for --card-pin")}
	}
	return a.withDevice(ctx, func(c *busapi.DeviceClient) error {
		stop, err := c.ServeAgent(ctx, answers)
		if err != nil {
			return err
		}
		defer stop()
		r, err := long(ctx, a, c, func() (busapi.PasscodeResult, error) { return c.SetPasscode(ctx, req) })
		if err != nil {
			return answers.explain(err)
		}
		if err := a.say(r, func(p *printer) {
			if r.CardPIN {
				p.line("A replacement device now needs the card and its PIN, or a recovery code.")
				return
			}
			p.line("The passcode is set. Without it, or a recovery code, nobody gets at the data.")
		}); err != nil {
			return err
		}
		if !r.RecoveryCode {
			a.note("who forgets the passcode, or loses the card, and the device as well, loses the data: 'scrctl recovery-code' prints a way out, to be kept apart")
		}
		a.noteOldCard(r.Card)
		return nil
	})
}

// noteOldCard says that a card has not been written anew.
func (a *app) noteOldCard(c busapi.CardInfo) {
	if c.State != "ok" {
		a.note("a card of these data that is not in the reader now opens as it did before, until it is put in")
	}
}

func (a *app) clearPasscode(ctx context.Context) error {
	return a.withDevice(ctx, func(c *busapi.DeviceClient) error {
		r, err := long(ctx, a, c, func() (busapi.PasscodeResult, error) { return c.ClearPasscode(ctx) })
		if err != nil {
			return err
		}
		return a.say(r, func(p *printer) {
			p.line("There is no passcode. Whoever has the reader or its card has the data.")
		})
	})
}

func (a *app) recoveryCodeCommand() *cobra.Command {
	return a.command("recovery-code", "Print a new recovery code, once", "make a recovery code", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			return a.withDevice(ctx, func(c *busapi.DeviceClient) error {
				r, err := long(ctx, a, c, func() (busapi.RecoveryCode, error) { return c.NewRecoveryCode(ctx) })
				if err != nil {
					return err
				}
				if err := a.print(r, func(p *printer) { p.line("%s", r.Code) }); err != nil {
					return err
				}
				if r.Pending {
					a.note("the reader has not confirmed it: write it down, and keep the code from before until `scrctl status` shows no change of keys under way")
				} else {
					a.note("write it down: it is not shown again, and a code from before is void")
				}
				if !r.Passcode {
					a.note("no passcode is set, so whoever has the reader needs no code")
				}
				a.noteOldCard(r.Card)
				return nil
			})
		})
}
