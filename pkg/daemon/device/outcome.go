package device

import (
	"context"

	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/reprovision"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// outcome sums up, item by item, what the attempts of one reprovision did.
type outcome struct {
	wanted      map[userdata.Name]manifest.Item // planned by any attempt
	verified    map[userdata.Name]bool
	failed      map[userdata.Name]detect.Finding
	hooks       []string
	quarantined int
}

func newOutcome() outcome {
	return outcome{
		wanted: make(map[userdata.Name]manifest.Item), verified: make(map[userdata.Name]bool),
		failed: make(map[userdata.Name]detect.Finding),
	}
}

// add takes in what an attempt did; the last word on an item counts.
func (o *outcome) add(plan reprovision.Plan, done reprovision.Result) {
	for _, a := range plan.Actions {
		o.wanted[a.Want.Name] = a.Want
		delete(o.failed, a.Want.Name)
	}
	for _, n := range done.Done {
		o.verified[n] = true
	}
	for _, f := range done.Failed {
		o.failed[f.Name] = f
		delete(o.verified, f.Name)
	}
	o.hooks = append(o.hooks, done.Hooks...)
	o.quarantined += done.Quarantined
}

// unproved lists what was planned and is neither verified nor failed: an attempt
// that was cut short wrote it, and the next found it in place.
func (o *outcome) unproved() []userdata.Name {
	var names []userdata.Name
	for n := range o.wanted {
		if _, bad := o.failed[n]; !bad && !o.verified[n] {
			names = append(names, n)
		}
	}
	return names
}

// prove reads back what an earlier attempt wrote; the last attempt has proved
// its own. Then the job is done.
func (r *restoreRun) prove(ctx context.Context) (reprovision.Event, error) {
	if names := r.unproved(); len(names) > 0 {
		found, err := r.reread(ctx, names)
		if err != nil {
			return 0, err
		}
		for _, n := range names {
			if got, there := found.Find(n); there && got.Equal(r.wanted[n]) {
				r.verified[n] = true
				continue
			}
			r.failed[n] = detect.Finding{Name: n, Class: r.wanted[n].Class, Verdict: detect.Changed, Reason: "was changed again"}
		}
	}
	if r.job.Run != "" {
		if err := r.state.dropJob(r.job.Run); err != nil {
			return 0, err
		}
	}
	r.conclude()
	return reprovision.Proved, nil
}

// reread reads items back from the medium, every byte, and takes note of how
// they look now.
func (r *restoreRun) reread(ctx context.Context, names []userdata.Name) (manifest.Manifest, error) {
	found, err := r.scanner.ScanNames(ctx, names, scan.Cache{}, scan.Options{Deep: true})
	if err != nil {
		return manifest.Manifest{}, err
	}
	r.book.restored(names, found.Cache)
	return found.Manifest, nil
}

// conclude turns what was done into the answer.
func (r *restoreRun) conclude() {
	res := &r.result
	res.Planned = max(res.Planned, int64(len(r.wanted)))
	res.Verified, res.Restored = int64(len(r.verified)), int64(len(r.verified))
	res.Quarantined, res.Hooks = int64(r.quarantined), r.hooks
	if r.quarantined > 0 {
		res.Quarantine = r.kept.Dir()
	}
	var failed []detect.Finding
	for _, f := range r.failed {
		failed = append(failed, f)
	}
	res.Failed = r.toBus(failed)
	res.BytesReceived = int64(usage(r.session).received - r.before.received)
}

func (d *Daemon) tellRestored(r *restoreRun) {
	if r.dry || r.result.Planned == 0 {
		return
	}
	d.findings.mended(r.verified)
	r.tell(milestoneVerified, map[string]any{
		"snapshot": r.result.Snapshot, "bytes_received": r.result.BytesReceived, "planned": r.result.Planned, "restored": r.result.Restored,
		"verified": r.result.Verified, "failed": int64(len(r.result.Failed)),
	})
	d.log.Info("reprovisioned", "planned", r.result.Planned, "verified", r.result.Verified,
		"failed", len(r.result.Failed), "seconds", r.result.Seconds)
	if r.result.Restored > 0 {
		d.request(look{why: "reprovisioned"})
		d.auto.kick() // whose data are to be kept may have been decided
	}
}
