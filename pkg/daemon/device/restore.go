package device

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/reprovision"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/vault"
)

// restoreRun is one walk through FIG. 6.
type restoreRun struct {
	*Daemon
	sel        reprovision.Selection
	snapshot   vault.SnapshotID // zero: the newest
	from       *session.Vault   // another device's vault to take over; nil: own
	quarantine string           // run to go on with
	confirmed  bool             // no question at step 622
	dry        bool
	prompter   busapi.Prompter

	end     func() // of the operation
	began   time.Time
	before  uint64
	session *session.Session
	vault   opened
	dataSet *vault.DataSet
	newest  bool // dataSet is the newest at the reader
	sight   sight
	plan    reprovision.Plan
	done    reprovision.Result
	failure error
	result  busapi.ReprovisionResult
}

// restore runs FIG. 6 while nothing else runs.
func (d *Daemon) restore(ctx context.Context, r *restoreRun) (busapi.ReprovisionResult, error) {
	end, err := d.ops.begin(ctx, activityReprovision)
	if err != nil {
		return busapi.ReprovisionResult{}, err
	}
	r.end = end
	defer func() { r.end() }()
	r.began = d.now()
	final, err := reprovision.Drive(ctx, r.step)
	r.result.Seconds = d.now().Sub(r.began).Seconds()
	switch {
	case err != nil:
		return r.result, translate(err)
	case final == reprovision.NoData:
		return r.result, busapi.ErrNoData // 614: the owner is told
	case final == reprovision.Refused && !r.dry:
		return r.result, busapi.ErrDeclined
	}
	d.tellRestored(r)
	return r.result, r.failure
}

func (r *restoreRun) step(ctx context.Context, s reprovision.State) (reprovision.Event, error) {
	switch s {
	case reprovision.Initiated: // 610, again after an interruption
		return reprovision.Begin, nil
	case reprovision.Querying:
		return r.query(ctx)
	case reprovision.Passcode: // the vault is open: its key is here
		return reprovision.OpenAlready, nil
	case reprovision.Confirming:
		return r.confirm(ctx)
	case reprovision.Restoring:
		return r.write(ctx)
	case reprovision.Proving:
		return reprovision.Proved, r.conclude()
	}
	return 0, fmt.Errorf("cannot enter a passcode for a vault that has none")
}

// query asks the reader for data of this device or its user (step 612).
func (r *restoreRun) query(ctx context.Context) (reprovision.Event, error) {
	s, err := r.keeper.wait(ctx)
	if err != nil {
		return 0, err
	}
	if r.session != s {
		r.session, r.before = s, s.BytesReceived()
	}
	found, err := r.locate(ctx)
	if err != nil || !found {
		return reprovision.NoDataFound, err
	}
	return reprovision.DataFound, nil
}

// locate finds the data set to restore; false when the reader has none.
func (r *restoreRun) locate(ctx context.Context) (bool, error) {
	if r.from != nil {
		return r.takeOver(ctx, *r.from)
	}
	v, have, err := r.own()
	if err != nil {
		return false, err
	}
	if have {
		r.vault = v
		head, err := r.follow(ctx, r.session, v)
		if err != nil {
			return false, err
		}
		if head != nil {
			return true, r.pick(ctx, head)
		}
	}
	_, others, err := r.find(ctx, r.session, v.id)
	if err != nil || len(others) == 0 {
		return false, err
	}
	from, err := r.choose(others)
	if err != nil {
		return false, err
	}
	return r.takeOver(ctx, from)
}

func (r *restoreRun) takeOver(ctx context.Context, from session.Vault) (bool, error) {
	v, err := r.claim(ctx, r.session, from)
	if err != nil {
		return false, err
	}
	r.log.Info("took over the data of an earlier device", "device", from.Owner)
	r.from, r.vault = nil, v
	head, err := r.follow(ctx, r.session, v)
	if err != nil || head == nil {
		return false, err
	}
	return true, r.pick(ctx, head)
}

// pick chooses the snapshot that was asked for.
func (r *restoreRun) pick(ctx context.Context, head *vault.DataSet) error {
	if r.snapshot.IsZero() || r.snapshot == head.Header().Snapshot {
		r.dataSet, r.newest = head, true
		return nil
	}
	list, err := r.session.Snapshots(ctx, session.SnapshotQuery{Vault: r.vault.id})
	if err != nil {
		return err
	}
	for _, snap := range list {
		if vault.SnapshotID(snap.ID) == r.snapshot {
			r.dataSet, err = r.load(ctx, r.session, r.vault, snap)
			return err
		}
	}
	return fmt.Errorf("%w: the reader has no snapshot %s", busapi.ErrInvalidArguments, r.snapshot)
}

// confirm plans, and asks the owner unless that is settled (step 622).
func (r *restoreRun) confirm(ctx context.Context) (reprovision.Event, error) {
	if err := r.makePlan(ctx); err != nil {
		return 0, err
	}
	h := r.dataSet.Header()
	r.result.Snapshot, r.result.DryRun, r.result.Planned = h.Snapshot.String(), r.dry, int64(len(r.plan.Actions))
	r.result.Kept = r.toBus(r.plan.Kept)
	r.result.Items = r.planned()
	switch {
	case r.dry:
		return reprovision.Declined, nil
	case r.confirmed || len(r.plan.Actions) == 0:
		return reprovision.Confirmed, nil
	case r.prompter == nil:
		return 0, busapi.ErrNoAgent
	}
	return r.ask(ctx)
}

// ask asks the owner. Meanwhile other operations run: nobody keeps the device
// from mending itself by leaving a question open. So the plan is made anew.
func (r *restoreRun) ask(ctx context.Context) (reprovision.Event, error) {
	r.end()
	yes, err := r.prompter.ConfirmReprovision(ctx, r.result)
	if errors.Is(err, busapi.ErrDeclined) || errors.Is(err, busapi.ErrCanceled) {
		yes, err = false, nil
	}
	end, berr := r.ops.begin(ctx, activityReprovision)
	if berr != nil {
		r.end = func() {}
		return 0, berr
	}
	r.end = end
	if err != nil || !yes {
		return reprovision.Declined, err
	}
	r.confirmed = true // an interruption does not ask again
	return reprovision.Confirmed, r.makePlan(ctx)
}

func (r *restoreRun) makePlan(ctx context.Context) error {
	var err error
	if r.sight, err = r.inspect(ctx, look{why: "reprovision", critical: true}); err != nil {
		return err
	}
	report := r.sight.report
	if !r.newest || r.dataSet != r.book.current() {
		report = detect.Judge(r.space, detect.Reference{Manifest: r.dataSet.Manifest()}, r.sight.now)
	}
	r.plan = reprovision.NewPlan(r.dataSet.Manifest(), r.sight.now, report, r.sel)
	return nil
}

func (r *restoreRun) planned() []busapi.Finding {
	out := make([]busapi.Finding, 0, len(r.plan.Actions))
	for _, a := range r.plan.Actions {
		out = append(out, busapi.Finding{
			Path: r.space.Path(a.Want.Name), Class: string(a.Want.Class), Verdict: string(r.verdict(a)), Reason: a.Reason,
		})
	}
	return out
}

func (r *restoreRun) verdict(a reprovision.Action) detect.Verdict {
	if f, ok := r.sight.report.Find(a.Want.Name); ok {
		return f.Verdict
	}
	return detect.Changed
}

// write restores what was planned (step 624). When the link goes, the figure
// starts again as soon as the reader is back, and most of the plan is done.
func (r *restoreRun) write(ctx context.Context) (reprovision.Event, error) {
	if len(r.plan.Actions) == 0 {
		return reprovision.Restored, nil
	}
	run := r.Daemon.quarantine.Begin(r.quarantine)
	r.quarantine = run.Name()
	if err := r.state.store(keyJob, r.job()); err != nil {
		return 0, err
	}
	restorer := &reprovision.Restorer{
		Space: r.space, DataSet: r.dataSet, Run: run, Hook: r.runHooks, Reread: r.reread, Log: r.log,
		CacheDir: filepath.Join(r.cfg.StateDir, "restore"),
		Fetch:    fetchFrom(r.session, r.vault.id),
		Open: func(id vault.BlobID, sealed []byte) ([]byte, error) {
			return vault.OpenPack(r.vault.key, r.vault.id, id, sealed)
		},
		Progress: func(done, total int64) { r.progress(activityReprovision, done, total) },
	}
	done, err := restorer.Restore(ctx, r.plan)
	r.add(done)
	if errors.Is(err, reprovision.ErrInterrupted) {
		r.log.Info("reprovision interrupted, going on when the reader is back", "restored", r.done.Restored)
		return reprovision.Interrupted, nil
	}
	if err != nil {
		return 0, err
	}
	return reprovision.Restored, r.state.drop(keyJob)
}

func (r *restoreRun) job() jobRecord {
	return jobRecord{
		Snapshot: r.dataSet.Header().Snapshot, Names: r.plan.Names(), Overwrite: r.sel.Overwrite, Quarantine: r.quarantine,
	}
}

// add sums up what several attempts did.
func (r *restoreRun) add(more reprovision.Result) {
	r.done.Restored += more.Restored
	r.done.Verified += more.Verified
	r.done.Quarantined += more.Quarantined
	r.done.Failed = append(r.done.Failed, more.Failed...)
	r.done.Hooks = append(r.done.Hooks, more.Hooks...)
	r.done.Done = append(r.done.Done, more.Done...)
}

// reread reads items back from the medium, every byte, and takes note of how
// they look now if they are as the newest snapshot has them.
func (r *restoreRun) reread(ctx context.Context, names []userdata.Name) (manifest.Manifest, error) {
	found, err := r.scanner.ScanNames(ctx, names, scan.Cache{}, scan.Options{Deep: true})
	if err != nil {
		return manifest.Manifest{}, err
	}
	r.book.restored(names, found.Cache)
	return found.Manifest, nil
}

// conclude turns what was done into the answer.
func (r *restoreRun) conclude() error {
	r.result.Restored, r.result.Verified = int64(r.done.Restored), int64(r.done.Verified)
	r.result.Quarantined = int64(r.done.Quarantined)
	if r.done.Quarantined > 0 {
		r.result.Quarantine = filepath.Join(r.Daemon.quarantine.Dir, r.quarantine)
	}
	r.result.Failed, r.result.Hooks = r.toBus(r.done.Failed), r.done.Hooks
	r.result.BytesReceived = int64(r.session.BytesReceived() - r.before)
	if len(r.done.Failed) > 0 {
		f := r.done.Failed[0]
		r.failure = fmt.Errorf("%w: %d of %d items not restored, the first %s: %s", busapi.ErrPartial,
			len(r.done.Failed), len(r.plan.Actions), r.space.Path(f.Name), f.Reason)
	}
	return nil
}

func (d *Daemon) tellRestored(r *restoreRun) {
	if r.dry || r.result.Planned == 0 {
		return
	}
	d.event("reprovision", map[string]any{
		"snapshot": r.result.Snapshot, "planned": r.result.Planned, "restored": r.result.Restored,
		"verified": r.result.Verified, "failed": int64(len(r.result.Failed)),
	})
	d.log.Info("reprovisioned", "planned", r.result.Planned, "verified", r.result.Verified,
		"failed", len(r.result.Failed), "seconds", r.result.Seconds)
	d.request(look{why: "reprovisioned"})
}
