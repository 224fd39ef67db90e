package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/reprovision/reprovision/pkg/busapi"
)

func (a *app) verifyCommand() *cobra.Command {
	var bytes int64
	cmd := a.command("verify", "Fetch a sample of what the reader has, open it, and compare it", "verify what the reader has", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			if bytes < 0 {
				return usagef("--bytes is negative")
			}
			return a.withDevice(ctx, func(c *busapi.DeviceClient) error { return a.verify(ctx, c, bytes) })
		})
	cmd.Flags().Int64Var(&bytes, "bytes", 0, "about how many bytes to fetch (default: as the daemon's settings say)")
	return cmd
}

func (a *app) verify(ctx context.Context, c *busapi.DeviceClient, bytes int64) error {
	r, err := long(ctx, a, c, func() (busapi.VerifyResult, error) { return c.Verify(ctx, bytes) })
	if err != nil {
		return err
	}
	if err := a.print(r, func(p *printer) { showVerify(p, r) }); err != nil {
		return err
	}
	if len(r.Failed) > 0 {
		a.note("what the reader has is damaged; 'scrctl backup' sends it again, and 'scrctl backup --full' sends everything")
		return outcome{exitDamage}
	}
	return nil
}

func showVerify(p *printer, r busapi.VerifyResult) {
	p.line("%d of %s of snapshot %s fetched (%s): %s match.", r.Blobs, count(r.Of, "blob"), printable(r.Snapshot), size(r.Bytes), count(r.Items, "item"))
	for _, f := range r.Failed {
		p.line("%s", p.paint(red, "damaged: "+printable(f)))
	}
}
