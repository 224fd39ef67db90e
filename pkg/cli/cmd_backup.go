package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/reprovision/reprovision/pkg/busapi"
)

func (a *app) backupCommand() *cobra.Command {
	var full bool
	cmd := a.command("backup", "Send a data set to the reader now", "back up", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			return a.withDevice(ctx, func(c *busapi.DeviceClient) error { return a.backup(ctx, c, full) })
		})
	cmd.Flags().BoolVar(&full, "full", false, "send everything, not only what changed")
	return cmd
}

func (a *app) backup(ctx context.Context, c *busapi.DeviceClient, full bool) error {
	r, err := long(ctx, a, c, func() (busapi.BackupResult, error) { return c.Backup(ctx, full) })
	if err != nil {
		return err
	}
	if err := a.say(r, func(p *printer) { showBackup(p, r) }); err != nil {
		return err
	}
	for _, name := range r.Held {
		a.note("the last good state is kept of %s", printable(name))
	}
	for _, why := range r.Skipped {
		a.note("cannot save %s", printable(why))
	}
	return a.backupOutcome(r)
}

func showBackup(p *printer, r busapi.BackupResult) {
	switch {
	case r.Snapshot == "":
		p.line("There is nothing to save.")
	case !r.Changed:
		p.line("Nothing has changed since snapshot %s.", printable(r.Snapshot))
	default:
		p.line("Saved snapshot %s (%s): %d of %s sent, %s.", printable(r.Snapshot), printable(r.Mode),
			r.ItemsSent, count(r.Items, "item"), size(r.BytesSent))
	}
	if r.Healed > 0 {
		p.line("Made good what was damaged at the reader: %s.", count(r.Healed, "blob"))
	}
}

// backupOutcome is how a backup ends whose snapshot is safe at the reader. The
// card comes first: it is what a lost reader leaves.
func (a *app) backupOutcome(r busapi.BackupResult) error {
	switch r.Card.State {
	case "full", "other-vault", "error", "unformatted", "blank":
		why := r.Card.State
		if r.Card.Detail != "" {
			why += ": " + r.Card.Detail
		}
		a.note("the snapshot is safe at the reader, but the card could not take it (%s)", printable(why))
		return outcome{exitCard}
	case "none":
		why := "there is no card in the reader"
		if r.Card.Detail != "" {
			why = r.Card.Detail
		}
		a.note("%s: the snapshot is in the reader's own store only", printable(why))
	case "stale":
		a.note("the card does not hold the newest snapshot yet")
	}
	if len(r.Skipped) > 0 {
		return outcome{exitPartial}
	}
	return nil
}
