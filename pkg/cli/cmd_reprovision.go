package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// doingReprovision is what errors of reprovision say could not be done.
const doingReprovision = "reprovision"

func (a *app) reprovisionCommand() *cobra.Command {
	var req busapi.ReprovisionRequest
	answers := &owner{app: a}
	cmd := a.command("reprovision", "Bring data back from the reader", doingReprovision, cobra.NoArgs,
		func(ctx context.Context, _ []string) error { return a.reprovision(ctx, req, answers) })
	answers.secretFlags(cmd)
	answers.pinFlag(cmd)
	flags := cmd.Flags()
	flags.StringArrayVar(&req.Classes, "class", nil, "only this `CLASS`: service-books, keys, preferences or user-data (repeatable)")
	flags.StringArrayVar(&req.Paths, "path", nil, "only this `PATH` and what lies below it (repeatable)")
	flags.StringVar(&req.Snapshot, "snapshot", "", "from the snapshot `ID` instead of the newest")
	flags.StringVar(&req.From, "from", "", "take over the data of an earlier `DEVICE` of yours, by its name or vault")
	flags.BoolVar(&req.DryRun, "dry-run", false, "say what would be done, and do nothing")
	flags.BoolVar(&req.Yes, "yes", false, "do not ask")
	return cmd
}

// reprovision carries out FIG. 6 at the owner's word (step 610).
func (a *app) reprovision(ctx context.Context, req busapi.ReprovisionRequest, answers *owner) (err error) {
	for _, class := range req.Classes {
		if _, err := userdata.ParseClass(class); err != nil {
			return usageError{err}
		}
	}
	if req.Paths, err = resolvePaths(req.Paths); err != nil {
		return err
	}
	if a.noInput && !req.Yes && !req.DryRun {
		return fmt.Errorf("%w: --yes is missing", busapi.ErrInputNeeded)
	}
	return a.withDevice(ctx, func(c *busapi.DeviceClient) error {
		stop, err := c.ServeAgent(ctx, answers)
		if err != nil {
			return err
		}
		defer stop()
		r, err := long(ctx, a, c, func() (busapi.ReprovisionResult, error) { return c.Reprovision(ctx, req) })
		if err != nil {
			return answers.explain(err)
		}
		return a.reprovisioned(r)
	})
}

func (a *app) reprovisioned(r busapi.ReprovisionResult) error {
	show := a.say
	if r.DryRun {
		show = a.print // the plan is what was asked for
	}
	if err := show(r, func(p *printer) { showReprovision(p, r) }); err != nil {
		return err
	}
	for _, h := range r.Hooks {
		a.note("a hook failed: %s", printable(h))
	}
	a.noteFailures(r.Failed)
	if len(r.Failed) > 0 || !r.DryRun && r.Verified < r.Restored {
		return outcome{exitPartial}
	}
	return nil
}

// noteFailures says each reason once: where a whole root cannot be written to,
// a line an item would bury it.
func (a *app) noteFailures(failed []busapi.Finding) {
	var reasons []string
	items := make(map[string][]string)
	for _, f := range failed {
		if len(items[f.Reason]) == 0 {
			reasons = append(reasons, f.Reason)
		}
		items[f.Reason] = append(items[f.Reason], f.Path)
	}
	for _, why := range reasons {
		what := printable(items[why][0])
		if n := len(items[why]) - 1; n > 0 {
			what = fmt.Sprintf("%s and %s more", what, count(int64(n), "item"))
		}
		a.note("cannot restore %s: %s", what, printable(why))
	}
}

func showReprovision(p *printer, r busapi.ReprovisionResult) {
	if r.DryRun {
		showFindings(p, r.Items, r.Truncated)
		p.line("Would restore %s from snapshot %s, and move %d to the quarantine.",
			count(r.Planned, "item"), printable(r.Snapshot), r.Quarantined)
		return
	}
	if r.Planned == 0 && r.Restored == 0 {
		p.line("Nothing needs to be restored.")
	} else {
		took := time.Duration(r.Seconds * float64(time.Second)).Round(10 * time.Millisecond)
		p.line("Restored %s from snapshot %s in %s (%s received).",
			count(r.Restored, "item"), printable(r.Snapshot), took, size(r.BytesReceived))
		p.line("%d of %s verified.", r.Verified, count(r.Planned, "item"))
	}
	if r.Quarantined > 0 {
		p.line("Replaced, and kept in %s: %s.", printable(r.Quarantine), count(r.Quarantined, "item"))
	}
	if n := int64(len(r.Kept)); n > 0 {
		p.line("Changed since the snapshot, and left as now: %s.", count(n, "item"))
	}
}
