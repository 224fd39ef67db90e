package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/reprovision/reprovision/pkg/busapi"
)

func (a *app) readerCommand() *cobra.Command {
	display := func(ask func(*busapi.ReaderClient, context.Context) (busapi.DisplayInfo, error)) func(context.Context, []string) error {
		return func(ctx context.Context, _ []string) error {
			return a.withReader(ctx, func(c *busapi.ReaderClient) error {
				d, err := ask(c, ctx)
				if err != nil {
					return err
				}
				return a.print(d, func(p *printer) { showDisplay(p, d) })
			})
		}
	}
	return a.group("reader", "What the smart card reader does",
		a.command("status", "Show the reader", "get the reader's status", cobra.NoArgs, a.readerStatusRun),
		a.command("press", "Press the reader's button, so that a device may pair", "press the button", cobra.NoArgs,
			display((*busapi.ReaderClient).Press)),
		a.command("display", "Print what the reader's display shows", "read the display", cobra.NoArgs,
			display((*busapi.ReaderClient).Display)),
		a.command("devices", "List the paired devices", "list the devices", cobra.NoArgs, a.readerDevices),
		a.command("forget DEVICE", "Forget a paired device, by its id or name", "forget the device", cobra.ExactArgs(1), a.readerForget),
	)
}

func (a *app) readerStatusRun(ctx context.Context, _ []string) error {
	return a.withReader(ctx, func(c *busapi.ReaderClient) error {
		st, err := c.Status(ctx)
		if err != nil {
			return err
		}
		return a.print(st, func(p *printer) { a.showReader(p, st) })
	})
}

func showDisplay(p *printer, d busapi.DisplayInfo) {
	for _, line := range d.Lines {
		p.line("%s", printable(line))
	}
}

func (a *app) readerDevices(ctx context.Context, _ []string) error {
	return a.withReader(ctx, func(c *busapi.ReaderClient) error {
		list, err := c.Devices(ctx)
		if err != nil {
			return err
		}
		result := struct {
			Devices []busapi.PeerInfo `json:"devices"`
		}{list}
		return a.print(result, func(p *printer) {
			if len(list) == 0 {
				p.line("No device is paired.")
				return
			}
			p.row("ID", "NAME", "PAIRED", "USED", "QUOTA", "")
			for _, d := range list {
				used, quota := "", ""
				if d.Usage != nil {
					used, quota = size(d.Usage.Used), size(d.Usage.Quota)
				}
				p.row(printable(d.ID), printable(d.Name), a.since(d.Paired), used, quota, inRange(p, d.InRange))
			}
		})
	})
}

func (a *app) readerForget(ctx context.Context, args []string) error {
	if args[0] == "" {
		return usagef("the device's id is empty")
	}
	return a.withReader(ctx, func(c *busapi.ReaderClient) error {
		if err := c.Forget(ctx, args[0]); err != nil {
			return err
		}
		result := struct {
			Forgotten string `json:"forgotten"`
		}{args[0]}
		return a.say(result, func(p *printer) { p.line("Device %s is forgotten.", printable(args[0])) })
	})
}
