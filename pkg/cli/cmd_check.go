package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/reprovision/reprovision/pkg/busapi"
)

func (a *app) checkCommand() *cobra.Command {
	var deep bool
	cmd := a.command("check", "Look for erased and corrupted items now", "check", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			return a.withDevice(ctx, func(c *busapi.DeviceClient) error { return a.check(ctx, c, deep) })
		})
	cmd.Flags().BoolVar(&deep, "deep", false, "re-read every byte")
	return cmd
}

func (a *app) check(ctx context.Context, c *busapi.DeviceClient, deep bool) error {
	r, err := long(ctx, a, c, func() (busapi.CheckResult, error) { return c.Check(ctx, deep) })
	if err != nil {
		return err
	}
	if err := a.print(r, func(p *printer) { showCheck(p, r) }); err != nil {
		return err
	}
	if damaged(r) {
		return outcome{exitDamage}
	}
	return nil
}

func damaged(r busapi.CheckResult) bool {
	for _, f := range r.Items {
		if f.Verdict == "erased" || f.Verdict == "corrupted" {
			return true
		}
	}
	return r.Counts["erased"]+r.Counts["corrupted"] > 0
}

func showCheck(p *printer, r busapi.CheckResult) {
	showFindings(p, r.Items, r.Truncated)
	var parts []string
	total := int64(0)
	for _, verdict := range []string{"erased", "corrupted", "changed", "unavailable", "intact"} {
		total += r.Counts[verdict]
		if r.Counts[verdict] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", r.Counts[verdict], verdict))
		}
	}
	if len(parts) == 0 {
		p.line("There are no items.")
		return
	}
	p.line("%s: %s.", count(total, "item"), strings.Join(parts, ", "))
}

func showFindings(p *printer, list []busapi.Finding, truncated int64) {
	for _, f := range list {
		p.row(p.verdict(f.Verdict), printable(f.Class), printable(f.Path), printable(f.Reason))
	}
	if truncated > 0 {
		p.line("and %d more", truncated)
	}
}
