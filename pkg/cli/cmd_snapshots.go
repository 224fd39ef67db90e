package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/reprovision/reprovision/pkg/busapi"
)

func (a *app) snapshotsCommand() *cobra.Command {
	return a.command("snapshots [ID]", "List the snapshots at the reader, or the items of one", "list snapshots", cobra.MaximumNArgs(1),
		func(ctx context.Context, args []string) error {
			return a.withDevice(ctx, func(c *busapi.DeviceClient) error {
				if len(args) == 1 {
					return a.snapshotItems(ctx, c, args[0])
				}
				return a.snapshots(ctx, c)
			})
		})
}

func (a *app) snapshots(ctx context.Context, c *busapi.DeviceClient) error {
	list, err := c.Snapshots(ctx)
	if err != nil {
		return err
	}
	result := struct {
		Snapshots []busapi.SnapshotInfo `json:"snapshots"`
	}{list}
	return a.print(result, func(p *printer) {
		if len(list) == 0 {
			p.line("The reader holds no snapshots.")
			return
		}
		p.row("ID", "MADE", "MODE", "ITEMS", "SIZE", "STORED")
		for _, s := range list {
			p.row(printable(s.ID), a.since(s.Created), printable(s.Mode), strconv.FormatInt(s.Items, 10), size(s.Bytes), size(s.Stored))
		}
	})
}

func (a *app) snapshotItems(ctx context.Context, c *busapi.DeviceClient, id string) error {
	if id == "" {
		return usagef("the snapshot's ID is empty")
	}
	items, err := c.SnapshotItems(ctx, id)
	if err != nil {
		return err
	}
	result := struct {
		Snapshot string            `json:"snapshot"`
		Items    []busapi.ItemInfo `json:"items"`
	}{id, items}
	return a.print(result, func(p *printer) {
		p.row("CLASS", "TYPE", "MODE", "SIZE", "CHANGED", "PATH")
		for _, i := range items {
			p.row(printable(i.Class), printable(i.Type), printable(i.Mode), size(i.Size), a.since(i.ModTime/1e9), printable(i.Path))
		}
	})
}
