package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/reprovision/reprovision/pkg/busapi"
)

func (a *app) pairCommand() *cobra.Command {
	var code, file string
	cmd := a.command("pair ADDRESS", "Pair with the reader of this address, as its display shows it", "pair", cobra.ExactArgs(1),
		func(ctx context.Context, args []string) error { return a.pair(ctx, args[0], code, file) })
	cmd.Flags().StringVar(&code, "passcode", "", "the passcode; other users can see a command line, so for tests and scripts only")
	cmd.Flags().StringVar(&file, "passcode-file", "", "read the passcode from the first line of this `FILE`")
	cmd.MarkFlagsMutuallyExclusive("passcode", "passcode-file")
	return cmd
}

// pair carries out steps 414 to 422 from the device's side.
func (a *app) pair(ctx context.Context, address, code, file string) error {
	address, err := busapi.ParseAddress(address)
	if err != nil {
		return usageError{err}
	}
	code = strings.Join(strings.Fields(code), "")
	if code == "" && file == "" && a.noInput {
		return fmt.Errorf("%w: --passcode-file or --passcode is missing", busapi.ErrInputNeeded)
	}
	return a.withDevice(ctx, func(c *busapi.DeviceClient) error {
		answers := &owner{app: a, passcode: code, file: file, asked: a.late("looking for the reader %s", address)}
		defer answers.asked()
		stop, err := c.ServeAgent(ctx, answers)
		if err != nil {
			return err
		}
		defer stop()
		reader, err := c.Pair(ctx, address)
		if err != nil {
			return answers.explain(err)
		}
		return a.say(reader, func(p *printer) { p.line("Paired with %s.", peerName(reader)) })
	})
}

func (a *app) unpairCommand() *cobra.Command {
	return a.command("unpair", "Forget the reader", "unpair", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			return a.withDevice(ctx, func(c *busapi.DeviceClient) error {
				told, err := c.Unpair(ctx)
				if err != nil {
					return err
				}
				if !told {
					a.note("the reader was out of range and still knows this device; forget it there: scrctl reader forget DEVICE")
				}
				result := struct {
					Told bool `json:"told"`
				}{told}
				return a.say(result, func(p *printer) { p.line("The reader is forgotten.") })
			})
		})
}
