package device

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/reprovision"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/vault"
)

// restoreRun is one walk through FIG. 6.
type restoreRun struct {
	*Daemon
	sel       reprovision.Selection
	snapshot  vault.SnapshotID // zero: the newest
	from      *session.Vault   // another device's vault to take over; nil: own
	fromName  string           // whose data the owner asked for, by name or vault; empty: own
	resumed   *jobRecord       // the job that it goes on with; nil for a new one
	takesOver bool             // may take over another device's vault: the owner is asking, or the device has nothing
	confirmed bool             // no question at step 622
	dry       bool
	prompter  busapi.Prompter
	entered   *entry // the passcode; nil while none is
	refusal   error  // why the reader takes no passcode any more

	ticket  *ticket // its place among the operations; nil to queue up when it begins
	lasting rank    // of what takes long
	settled func()  // called when that begins, and when the run ends; may be nil
	share   share
	began   time.Time
	before  traffic
	session *session.Session
	ahead   *ahead // what the reader sends before it is asked for; nil for nothing
	vault   opened
	dataSet *vault.DataSet
	newest  bool     // dataSet is the newest at the reader
	first   bool     // dataSet is the critical part, of which the rest is loaded when this is in place
	second  bool     // the critical part is in place
	glanced *glimpse // what lay here before the data set was read; nil where that took no time
	sight   sight
	plan    reprovision.Plan
	job     jobRecord
	kept    *reprovision.Run // the quarantine
	outcome
	shown     int64 // bytes in place, as last told
	whole     int64 // bytes of all contents
	receiving bool  // contents have come; belongs to the one fetch at a time
	result    busapi.ReprovisionResult
}

// restore runs FIG. 6 while nothing else judges or restores.
func (d *Daemon) restore(ctx context.Context, r *restoreRun) (busapi.ReprovisionResult, error) {
	if r.ticket == nil {
		r.ticket = d.ops.enter(activityReprovision, rankUrgent)
	}
	defer func() { r.ticket.end() }()
	defer func() { r.ahead.end() }()
	r.lasting = max(r.lasting, rankOwner)
	if r.settled == nil {
		r.settled = func() {}
	}
	defer r.settled()
	r.hold(r.sel.Names)
	defer d.hands.release(r)
	defer d.gauge.end(activityReprovision)
	if err := r.ticket.wait(ctx); err != nil {
		return busapi.ReprovisionResult{}, err
	}
	r.ticket.does(activityReprovision)
	if r.resumed != nil {
		// It was listed outside of the slot, and may be done by now.
		if live, err := d.state.hasJob(r.resumed.Run); err != nil || !live {
			return r.result, err
		}
	}
	r.began, r.outcome = d.now(), newOutcome()
	final, err := reprovision.Drive(ctx, r.step)
	r.result.Seconds = d.now().Sub(r.began).Seconds()
	switch {
	case err != nil:
		return r.result, translate(err)
	case final == reprovision.NoData:
		return r.result, busapi.ErrNoData // 614: the owner is told
	case final == reprovision.Refused && r.refusal != nil:
		return r.result, translate(r.refusal)
	case final == reprovision.Refused && !r.dry:
		return r.result, busapi.ErrDeclined
	}
	d.tellRestored(r)
	return r.result, nil // what could not be restored is in the result
}

// step is do, but that a link which is cut while it is found out what to restore ends
// nothing: what has come of that is kept, and gone on with when the reader is back.
func (r *restoreRun) step(ctx context.Context, s reprovision.State) (reprovision.Event, error) {
	event, err := r.do(ctx, s)
	cut := errors.Is(err, reprovision.ErrInterrupted) || errors.Is(err, session.ErrDisconnected)
	if !cut || s != reprovision.Querying && s != reprovision.Confirming || errors.Is(err, busapi.ErrOutOfRange) {
		return event, err
	}
	r.log.Info("the link was cut before there was a plan, going on when the reader is back", "error", err)
	return reprovision.Interrupted, sleep(ctx, aftermath)
}

// aftermath is how long the end of a session takes to get about.
const aftermath = 100 * time.Millisecond

func (r *restoreRun) do(ctx context.Context, s reprovision.State) (reprovision.Event, error) {
	switch s {
	case reprovision.Initiated: // 610, again after an interruption
		return reprovision.Begin, nil
	case reprovision.Querying:
		return r.query(ctx)
	case reprovision.Passcode: // 616
		return r.require(), nil
	case reprovision.Prompting: // 618
		return r.prompt(ctx)
	case reprovision.Verifying: // 620
		return r.verify(ctx)
	case reprovision.Confirming:
		return r.confirm(ctx)
	case reprovision.Restoring:
		return r.write(ctx)
	case reprovision.Proving:
		return r.prove(ctx)
	}
	return 0, fmt.Errorf("cannot do anything in state %d of a reprovision", s)
}

// query asks the reader for data of this device or its user (step 612). It
// changes nothing, here or there.
func (r *restoreRun) query(ctx context.Context) (reprovision.Event, error) {
	s, err := r.keeper.wait(ctx)
	if err != nil {
		return 0, err
	}
	if r.session != s {
		r.ahead.end()
		r.session, r.before, r.ahead = s, usage(s), nil
	}
	found, err := r.locate(ctx)
	if err != nil || !found {
		return reprovision.NoDataFound, err
	}
	return reprovision.DataFound, nil
}

// locate finds what to restore: the data set, or the vault of an earlier device
// of this owner; false when the reader has neither.
func (r *restoreRun) locate(ctx context.Context) (bool, error) {
	if r.from != nil {
		return true, nil
	}
	v, have, err := r.own()
	if err != nil {
		return false, err
	}
	if have && r.fromName == "" {
		r.vault = v
		if found, err := r.pick(ctx); err != nil || found {
			return found, err
		}
	}
	if !r.takesOver {
		return false, nil
	}
	others, err := r.others(ctx, r.session, v.id)
	if err != nil || len(others) == 0 {
		return false, err
	}
	from, err := r.choose(others, r.fromName)
	if err != nil {
		return false, err
	}
	r.from = &from
	return true, nil
}

// pick chooses the snapshot that was asked for, of the device's own vault. An
// older one is to be had even where the newest cannot be read.
func (r *restoreRun) pick(ctx context.Context) (bool, error) {
	mine, _, herr := r.find(ctx, r.session, r.vault.id)
	if herr == nil && r.inTwo(mine) {
		return true, r.pickFirst(ctx, *mine.Head)
	}
	var head *vault.DataSet
	if herr == nil {
		head, herr = r.followOf(ctx, r.source(), r.vault, mine)
	}
	r.dataSet, r.newest, r.first = head, true, false
	if r.snapshot.IsZero() || head != nil && r.snapshot == head.Header().Snapshot {
		return head != nil, herr
	}
	r.newest = false
	list, err := r.session.Snapshots(ctx, session.SnapshotQuery{Vault: r.vault.id})
	if err != nil && !errors.Is(err, session.ErrNoVault) {
		return false, err
	}
	for _, snap := range list {
		if vault.SnapshotID(snap.ID) == r.snapshot {
			r.dataSet, err = r.load(ctx, r.source(), r.vault, snap)
			return true, err
		}
	}
	return false, fmt.Errorf("%w: the reader has no snapshot %s", busapi.ErrInvalidArguments, r.snapshot)
}

// takeOver makes this device the owner of the vault that was chosen. The owner
// has confirmed it by now.
func (r *restoreRun) takeOver(ctx context.Context) error {
	r.strangers.forget() // if this comes to nothing, they are asked for anew
	v, err := r.claim(ctx, r.session, *r.from, r.entered)
	if err != nil {
		return err
	}
	r.log.Info("took over the data of an earlier device", "device", r.from.Owner)
	r.begin(ctx, v, r.from.Head)
	r.from, r.fromName, r.vault, r.entered = nil, "", v, nil
	r.findings.setOffer("")
	r.interviews.kick()
	found, err := r.pick(ctx)
	kick(r.guard.doubt) // the card is this device's from now on
	if err == nil && !found {
		err = busapi.ErrNoData
	}
	return err
}

// confirm plans, and asks the owner unless that is settled (step 622).
func (r *restoreRun) confirm(ctx context.Context) (reprovision.Event, error) {
	if r.from != nil {
		return r.confirmTakeOver(ctx)
	}
	if err := r.makePlan(ctx); err != nil {
		return 0, err
	}
	h := r.dataSet.Header()
	r.result.Snapshot, r.result.DryRun, r.result.Planned = h.Snapshot.String(), r.dry, int64(len(r.plan.Actions))
	r.result.Kept, r.result.Items, r.result.Quarantined = r.toBus(r.plan.Kept), r.planned(), int64(r.plan.Replaced())
	switch {
	case r.dry:
		return reprovision.Declined, nil
	case r.confirmed || len(r.plan.Actions) == 0:
		return reprovision.Confirmed, nil
	}
	return r.ask(ctx, r.result)
}

// confirmTakeOver asks before anything of the other device is touched; what is
// in its vault cannot be told before.
func (r *restoreRun) confirmTakeOver(ctx context.Context) (reprovision.Event, error) {
	head := vault.SnapshotID(r.from.Head.ID).String()
	what := fmt.Sprintf("%d bytes, saved by the device called %q", r.from.Head.Bytes, userdata.Printable(r.from.Owner))
	switch {
	case r.dry:
		return 0, fmt.Errorf("%w: the reader has data of an earlier device (%s), and to look into it is to take it over", busapi.ErrInputNeeded, what)
	case r.confirmed:
		return reprovision.Confirmed, r.planTakeOver(ctx)
	}
	return r.ask(ctx, busapi.ReprovisionResult{Snapshot: head, Planned: 1, Items: []busapi.Finding{
		{Path: what, Class: "all", Verdict: "take over", Reason: "this device has no data of its own at the reader"},
	}})
}

func (r *restoreRun) planTakeOver(ctx context.Context) error {
	var err error
	if r.glanced, err = r.glimpse(ctx); err != nil { // the settling time passes while the data set comes
		return err
	}
	if err := r.takeOver(ctx); err != nil {
		return err
	}
	_, err = r.confirm(ctx)
	return err
}

// ask asks the owner. Meanwhile other operations run: nobody keeps the device
// from mending itself by leaving a question open. So FIG. 6 starts anew when the
// answer is yes, and does not ask again.
func (r *restoreRun) ask(ctx context.Context, summary busapi.ReprovisionResult) (reprovision.Event, error) {
	if r.prompter == nil {
		return 0, busapi.ErrNoAgent
	}
	if r.from == nil {
		r.makeJob() // what was asked about is what is done, and nothing that is done meanwhile is undone
		r.snapshot = r.job.Snapshot
	}
	r.ticket.end()
	yes, err := r.prompter.ConfirmReprovision(ctx, summary)
	if errors.Is(err, busapi.ErrDeclined) || errors.Is(err, busapi.ErrCanceled) {
		yes, err = false, nil
	}
	if berr := r.again(ctx, rankUrgent); berr != nil {
		return 0, berr
	}
	if err != nil || !yes {
		return reprovision.Declined, err
	}
	r.confirmed = true
	return reprovision.Interrupted, nil
}

func (r *restoreRun) makePlan(ctx context.Context) error {
	var err error
	begun, before := r.now(), r.glanced
	r.glanced = nil // of an attempt that was cut short it says nothing any more
	if r.sight, err = r.inspectAfter(ctx, before, look{why: "reprovision", critical: true}); err != nil {
		return err
	}
	r.share.cost(r.now().Sub(begun))
	saved := r.dataSet.Manifest()
	for _, n := range r.sel.Below {
		if !slices.ContainsFunc(saved.Items(), func(it manifest.Item) bool { return it.Name.Below(n) }) {
			return fmt.Errorf("%w: the snapshot has nothing at %s", busapi.ErrInvalidArguments, r.space.Path(n))
		}
	}
	report := r.sight.report
	if !r.newest || r.dataSet != r.book.current() {
		ref := r.book.reference()
		ref.Manifest, ref.Erased = saved, nil
		report = detect.Judge(r.space, ref, r.sight.now)
	}
	r.plan = reprovision.NewPlan(saved, r.sight.now, report, r.sel)
	r.widenJob()
	r.leaveLaterWork(report)
	return nil
}

// leaveLaterWork takes out of the plan what the owner means to be gone, unless
// they ask for it by name now; and, of a job that was planned before, what was
// not in it and what somebody has changed since.
func (r *restoreRun) leaveLaterWork(report detect.Report) {
	job := r.resumed
	if r.job.Run != "" {
		job = &r.job // planned by an earlier attempt of this very run
	}
	r.plan.Actions = slices.DeleteFunc(r.plan.Actions, func(a reprovision.Action) bool {
		if r.book.isForgotten(a.Want.Name) && (job != nil || !r.sel.Overwrite) {
			return true
		}
		f, differs := report.Find(a.Want.Name)
		if job == nil || job.still(a, looks(r.sight, a.Want.Name), differs && f.Verdict.Damage()) {
			return false
		}
		f.Name, f.Class, f.Verdict = a.Want.Name, a.Want.Class, detect.Changed
		f.Reason = "changed after the restore was planned, left as it is"
		r.plan.Kept = append(r.plan.Kept, f)
		return true
	})
}

func (r *restoreRun) planned() []busapi.Finding {
	out := make([]busapi.Finding, 0, len(r.plan.Actions))
	for _, a := range r.plan.Actions {
		verdict := detect.Changed
		if f, ok := r.sight.report.Find(a.Want.Name); ok {
			verdict = f.Verdict
		}
		out = append(out, busapi.Finding{
			Path: r.space.Path(a.Want.Name), Class: string(a.Want.Class), Verdict: string(verdict), Reason: a.Reason,
		})
	}
	return out
}

// write restores what was planned (step 624). When the link goes, the figure
// starts again as soon as the reader is back, and most of the plan is done.
func (r *restoreRun) write(ctx context.Context) (reprovision.Event, error) {
	if err := r.openJob(); err != nil {
		return 0, err
	}
	if r.kept == nil {
		r.kept = r.Daemon.quarantine.Begin("") // a resumed job has a new one: the old may be about to expire
	}
	run := r.kept
	q := session.BlobQuery{Vault: r.vault.id, Snapshot: r.dataSet.Header().Snapshot}
	fetch := parts{r.packsOf(r.job.Run), r.openPack}.fetch(r.source().Get, q)
	bid, stop := r.ticket.bidden(ctx, r.share.own())
	defer stop()
	restorer := &reprovision.Restorer{
		Space: r.space, DataSet: r.dataSet, Run: run, Hook: r.takeUp, Reread: r.reread, Log: r.log,
		Mounts: r.book.reference().Mounts,
		Due:    slices.Clone(r.job.Owed), Owe: r.owe, Begun: r.job.names(),
		Settled: r.settle, GiveWay: bid,
		CacheDir: r.packsOf(r.job.Run),
		Fetch:    r.watchFetch(r.dataSet.FromHeld(fetch)),
		Open:     r.openPack,
		Progress: r.advance,
	}
	done, err := restorer.Restore(ctx, r.plan)
	r.add(r.plan, done)
	if errors.Is(err, reprovision.ErrGaveWay) {
		return r.giveWay(ctx)
	}
	if errors.Is(err, reprovision.ErrInterrupted) {
		r.log.Info("reprovision interrupted, going on when the reader is back", "restored", done.Restored)
		return reprovision.Interrupted, nil
	}
	if err == nil && r.first {
		r.second = true
		return reprovision.Interrupted, nil
	}
	return reprovision.Restored, err
}

func (r *restoreRun) openPack(id vault.BlobID, sealed []byte) ([]byte, error) {
	return vault.OpenPack(r.vault.key, r.vault.id, id, sealed)
}

// hold notes what the run is about.
func (r *restoreRun) hold(names map[userdata.Name]bool) {
	job := r.job.Run
	if r.resumed != nil {
		job = r.resumed.Run
	}
	r.hands.hold(r, job, names)
}

// openJob writes down what is about to be done, so that it can be gone on with
// after whatever happens.
func (r *restoreRun) openJob() error {
	r.makeJob()
	r.hold(r.job.names())
	if len(r.job.Items) == 0 {
		return nil
	}
	r.tell(milestoneStarted, map[string]any{"planned": int64(len(r.plan.Actions)), "resumed": r.resumed != nil})
	return r.state.storeJob(r.job)
}

// makeJob fixes what the run is to do: what the job that it goes on with says,
// else the plan that was made first.
func (r *restoreRun) makeJob() {
	switch {
	case r.job.Run != "":
		return
	case r.resumed != nil:
		r.job = *r.resumed
		return
	}
	r.job = jobRecord{
		Snapshot: r.dataSet.Header().Snapshot, Damage: r.sel.Damage, Overwrite: r.sel.Overwrite,
		Run: r.Daemon.quarantine.Begin("").Name(), Rest: r.first,
	}
	for _, a := range r.plan.Actions {
		r.job.Items = append(r.job.Items, r.jobItem(a))
	}
}

func (r *restoreRun) jobItem(a reprovision.Action) jobItem {
	return jobItem{Name: a.Want.Name, Before: a.Before, Known: a.Known, Absent: a.Absent, Looks: looks(r.sight, a.Want.Name)}
}

// owe writes down that a class's hooks have to run, or have run.
func (r *restoreRun) owe(c userdata.Class, owed bool) error {
	r.job.Owed = slices.DeleteFunc(r.job.Owed, func(o userdata.Class) bool { return o == c })
	if owed {
		r.job.Owed = append(r.job.Owed, c)
	}
	return r.state.storeJob(r.job)
}
