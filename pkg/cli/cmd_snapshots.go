package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/userdata"
)

func (a *app) snapshotsCommand() *cobra.Command {
	cmd := a.command("snapshots [ID]", "List the snapshots at the reader, or the items of one", "list snapshots", cobra.MaximumNArgs(1),
		func(ctx context.Context, args []string) error {
			return a.withDevice(ctx, func(c *busapi.DeviceClient) error {
				if len(args) == 1 {
					return a.snapshotItems(ctx, c, args[0])
				}
				return a.snapshots(ctx, c)
			})
		})
	cmd.AddCommand(a.command("diff FROM TO", "Show how two snapshots differ", "compare snapshots", cobra.ExactArgs(2),
		func(ctx context.Context, args []string) error {
			if args[0] == "" || args[1] == "" {
				return usagef("the snapshot's ID is empty")
			}
			return a.withDevice(ctx, func(c *busapi.DeviceClient) error { return a.snapshotDiff(ctx, c, args[0], args[1]) })
		}))
	return cmd
}

// classDiff sums up the changes of one class.
type classDiff struct {
	Class        string `json:"class"`
	Added        int64  `json:"added"` // items
	Changed      int64  `json:"changed"`
	Removed      int64  `json:"removed"`
	AddedBytes   int64  `json:"added_bytes"`
	ChangedBytes int64  `json:"changed_bytes"` // as they are in the second
	RemovedBytes int64  `json:"removed_bytes"`
}

func (d *classDiff) add(c busapi.ItemChange) {
	switch c.Change {
	case "added":
		d.Added++
		d.AddedBytes += c.Size
	case "changed":
		d.Changed++
		d.ChangedBytes += c.Size
	case "removed":
		d.Removed++
		d.RemovedBytes += c.Was
	}
}

// byClass sums up, in the order of a restore.
func byClass(changes []busapi.ItemChange) []classDiff {
	sums := make(map[string]*classDiff)
	for _, c := range changes {
		if sums[c.Class] == nil {
			sums[c.Class] = &classDiff{Class: c.Class}
		}
		sums[c.Class].add(c)
	}
	out := []classDiff{}
	for _, class := range userdata.Classes() {
		if d := sums[string(class)]; d != nil {
			out = append(out, *d)
		}
	}
	return out
}

func (a *app) snapshotDiff(ctx context.Context, c *busapi.DeviceClient, from, to string) error {
	changes, err := c.SnapshotDiff(ctx, from, to)
	if err != nil {
		return err
	}
	result := struct {
		From    string              `json:"from"`
		To      string              `json:"to"`
		Classes []classDiff         `json:"classes"`
		Items   []busapi.ItemChange `json:"items"`
	}{from, to, byClass(changes), changes}
	return a.print(result, func(p *printer) {
		if len(changes) == 0 {
			p.line("The two are the same.")
			return
		}
		p.row("", "CLASS", "SIZE", "PATH")
		for _, c := range changes {
			p.row(sign(p, c.Change), printable(c.Class), size(max(c.Size, c.Was)), printable(c.Path))
		}
		p.line("")
		for _, d := range result.Classes {
			p.row(d.Class, fmt.Sprintf("%d added (%s)", d.Added, size(d.AddedBytes)),
				fmt.Sprintf("%d changed (%s)", d.Changed, size(d.ChangedBytes)), fmt.Sprintf("%d removed (%s)", d.Removed, size(d.RemovedBytes)))
		}
	})
}

// sign is a change as diff writes it.
func sign(p *printer, change string) string {
	switch change {
	case "added":
		return p.paint(green, "+")
	case "removed":
		return p.paint(red, "-")
	}
	return p.paint(yellow, "~")
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
