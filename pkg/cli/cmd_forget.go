package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/reprovision/reprovision/pkg/busapi"
)

func (a *app) forgetCommand() *cobra.Command {
	cmd := a.command("forget PATH...", "Say that a deletion or change was meant", "forget", cobra.MinimumNArgs(1),
		func(ctx context.Context, args []string) error {
			paths, err := resolvePaths(args)
			if err != nil {
				return err
			}
			return a.withDevice(ctx, func(c *busapi.DeviceClient) error {
				n, err := c.Forget(ctx, paths)
				if err != nil {
					return err
				}
				result := struct {
					Forgotten int64 `json:"forgotten"`
				}{n}
				return a.say(result, func(p *printer) { p.line("%s will stay as now.", count(n, "item")) })
			})
		})
	cmd.Long = `Say that a deletion or change was meant, so that it is no damage.

A PATH may be absolute; relative to the working directory, "./NAME" in any case
and "NAME" or "DIR/NAME" where that or its directory is there; or else the name of
an item, such as service-books/home.nmconnection.`
	return cmd
}
