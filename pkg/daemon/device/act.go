package device

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/reprovision"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/vault"
)

// act does with damage what the policy of its class says, and returns what is to be
// mended now.
func (d *Daemon) act(seen sight) []detect.Finding {
	auto, ask := d.byPolicy(d.writable(seen, d.restorable(d.findings.due(seen.report.Damaged(), d.now()))))
	if len(ask) > 0 {
		d.wait(fmt.Sprintf("%d damaged items wait for the owner's word", len(ask)))
		select {
		case d.asks <- ask:
		default: // a question is open already
		}
	}
	if auto = d.hands.free(auto); len(auto) == 0 {
		return nil
	}
	if d.keeper.current() == nil {
		d.wait(fmt.Sprintf("%d damaged items wait for the reader to come into range", len(auto)))
		d.keeper.try()
		return nil
	}
	return auto
}

// restorable leaves out what no snapshot has: of work that was damaged before it was saved
// there is nothing to restore.
func (d *Daemon) restorable(damaged []detect.Finding) []detect.Finding {
	if !slices.ContainsFunc(damaged, func(f detect.Finding) bool { return f.Suspected }) {
		return damaged
	}
	saved := d.book.reference().Manifest
	return slices.DeleteFunc(slices.Clone(damaged), func(f detect.Finding) bool {
		_, known := saved.Find(f.Name)
		return f.Suspected && !known
	})
}

// byPolicy tells what is restored by itself from what the owner is asked about: what is only
// suspected is never restored without their word.
func (d *Daemon) byPolicy(damaged []detect.Finding) (auto, ask []detect.Finding) {
	for _, f := range damaged {
		switch policy := d.cfg.Reprovision.For(f.Class); {
		case policy == config.Restore && !f.Suspected:
			auto = append(auto, f)
		case policy != config.Report:
			ask = append(ask, f)
		}
	}
	d.findings.want(auto)
	return auto, ask
}

// writable leaves out what lies on a file system that is mounted read-only, as
// the kernel does with one in which it finds errors: that is for the owner to mend.
func (d *Daemon) writable(seen sight, damaged []detect.Finding) []detect.Finding {
	var good []detect.Finding
	for _, f := range damaged {
		if root, known := seen.now.Root(f.Name.Root()); !known || !root.ReadOnly {
			good = append(good, f)
		}
	}
	if n := len(damaged) - len(good); n > 0 {
		d.wait(fmt.Sprintf("%d damaged items lie on a file system that is mounted read-only", n))
	}
	return good
}

func (d *Daemon) wait(text string) (news bool) {
	news = d.findings.setWaiting(text)
	d.bus.Refresh()
	return news
}

// mending is the restore of damaged items without a question.
func (d *Daemon) mending(damaged []detect.Finding) *restoreRun {
	sel := reprovision.Selection{Names: make(map[userdata.Name]bool), Damage: true}
	for _, f := range damaged {
		sel.Names[f.Name] = true
	}
	return &restoreRun{Daemon: d, sel: sel, lasting: rankMend, confirmed: true}
}

// mend reprovisions damaged items. What cannot be mended is tried again later, after
// a growing time.
func (d *Daemon) mend(ctx context.Context, run *restoreRun, damaged []detect.Finding) error {
	_, err := d.restore(ctx, run)
	if errors.Is(err, busapi.ErrOutOfRange) {
		return nil // the next session looks again
	}
	left := slices.DeleteFunc(slices.Clone(damaged), func(f detect.Finding) bool { return run.verified[f.Name] })
	d.giveUp(left)
	if len(left) > 0 && (err == nil || errors.Is(err, busapi.ErrNoData)) {
		if text := fmt.Sprintf("%d damaged items could not be restored; trying again later", len(left)); d.wait(text) {
			d.notice("unrestored", text+".")
		}
		return nil
	}
	if n := len(run.verified); err == nil && n > 0 {
		d.bus.Notify(busapi.Notice{Kind: "restored", Level: busapi.NoticeInfo, Text: fmt.Sprintf("%d damaged or lost items were restored.", n)})
	}
	return err
}

// giveUp has damage that was not mended tried again later. The watchman has to learn when:
// it waits meanwhile for what was due before.
func (d *Daemon) giveUp(left []detect.Finding) {
	d.findings.giveUp(left, d.now())
	d.wishes.stir()
}

func (d *Daemon) mendBehind(ctx context.Context, run *restoreRun, damaged []detect.Finding) {
	if err := d.mend(ctx, run, damaged); err != nil && ctx.Err() == nil {
		d.log.Error("cannot mend the user data", "error", err)
	}
}

// behind has a restore run on its own; it returns when the service books and keys of it
// are in place. Only the watchman calls it, and waits for all of them in the end.
func (d *Daemon) behind(run *restoreRun, restore func()) {
	settled := make(chan struct{})
	run.settled = sync.OnceFunc(func() { close(settled) })
	d.menders.Go(restore)
	<-settled
}

// greet compares notes with the reader at the beginning of a session: what is
// the newest snapshot, and is this a new device whose owner has data there?
func (d *Daemon) greet(ctx context.Context) error {
	s := d.keeper.current()
	if s == nil {
		return session.ErrDisconnected
	}
	err := d.compareNotes(ctx, s)
	if err != nil && ctx.Err() == nil && !errors.Is(err, session.ErrDisconnected) {
		d.log.Warn("cannot compare notes with the reader", "error", err)
	}
	return err
}

// notesTime bounds each of the questions in which notes are compared: the answer may be
// the whole index of what is saved, over a slow link.
const notesTime = 30 * time.Minute

func (d *Daemon) compareNotes(ctx context.Context, s *session.Session) error {
	v, have, err := d.own()
	if err != nil {
		return err
	}
	if have && d.fillingUp() {
		return nil // that restore brings the list of what there is to be
	}
	if have {
		bounded, cancel := context.WithTimeout(ctx, notesTime)
		defer cancel()
		head, err := d.followOnce(bounded, s, v)
		if err != nil || head != nil {
			return err
		}
	}
	if d.book.current() != nil {
		return nil // known data, and a reader that has lost it: the next backup brings it back
	}
	return d.replace(ctx, s, v.id)
}

// followOnce is follow, where the session has not told already what it would.
func (d *Daemon) followOnce(ctx context.Context, s *session.Session, v opened) (*vault.DataSet, error) {
	done, err := d.askAlone(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if _, ds, _, known := d.recognize(s); known {
		return ds, nil
	}
	return d.follow(ctx, s, v)
}

// replace is for a device that has neither data of its own nor a reference: the
// owner may have data of an earlier device at the reader (paragraph 38).
func (d *Daemon) replace(ctx context.Context, s *session.Session, own vault.VaultID) error {
	bounded, cancel := context.WithTimeout(ctx, notesTime) // a restore takes as long as it takes
	defer cancel()
	_, others, err := d.find(bounded, s, own)
	if err != nil || len(others) == 0 {
		return err
	}
	from, err := d.choose(others, "")
	if err == nil && d.cfg.Reprovision.Replacement == config.Restore && opensByItself(from) {
		_, err = d.restore(ctx, &restoreRun{Daemon: d, lasting: rankMend, from: &from, takesOver: true, confirmed: true})
		if err == nil || !errors.Is(err, busapi.ErrNotAllowed) {
			return err
		}
	}
	d.strangers.note(s, others, d.now())
	text := "the reader has data of " + describeAll(others) + "; scrctl reprovision --from brings it here"
	if slices.ContainsFunc(others, needsPasscode) {
		text += ", with the passcode, the card's PIN or the recovery code"
	}
	d.findings.setOffer(text)
	d.interviews.kick()
	d.event("notice", map[string]any{"text": text})
	d.bus.Refresh()
	return nil
}

// choose decides whose data to take over: the device's that is named, by name or
// vault; the only one there is; the one that bears this device's name.
func (d *Daemon) choose(others []session.Vault, from string) (session.Vault, error) {
	named := slices.DeleteFunc(slices.Clone(others), func(v session.Vault) bool {
		id := vault.VaultID(v.ID).String()
		return from != "" && v.Owner != from && id != from
	})
	if from == "" && len(named) > 1 {
		named = slices.DeleteFunc(named, func(v session.Vault) bool { return v.Owner != d.cfg.Name })
	}
	if len(named) == 1 {
		return named[0], nil
	}
	return session.Vault{}, fmt.Errorf("%w: which device's data? The reader has that of %s", busapi.ErrInputNeeded, describeAll(others))
}

// describeAll names the devices whose data could be taken over, with what tells
// two of the same name apart.
func describeAll(vaults []session.Vault) string {
	var all []string
	for _, v := range vaults {
		when := v.Head.Committed.UTC().Format("2006-01-02 15:04")
		all = append(all, fmt.Sprintf("%q (%s, last saved %s UTC)", userdata.Printable(v.Owner), vault.VaultID(v.ID), when))
	}
	return strings.Join(all, ", ")
}

// resume goes on with reprovisions that were cut short. What somebody has done to
// their items since is left as it is. One that cannot be gone on with is given
// up, and said: it must not stand in the way of what is damaged now.
func (d *Daemon) resume(ctx context.Context) {
	jobs, err := d.state.jobs()
	if err != nil {
		d.log.Error("cannot tell what was cut short", "error", err)
	}
	for _, job := range jobs {
		if d.hands.job(job.Run) {
			continue
		}
		if d.keeper.current() == nil || ctx.Err() != nil {
			return
		}
		d.log.Info("going on with an interrupted reprovision", "items", len(job.Items))
		run := &restoreRun{
			Daemon: d, sel: reprovision.Selection{Names: job.names(), Damage: job.Damage, Suspected: true, Overwrite: job.Overwrite},
			lasting: rankMend, snapshot: job.Snapshot, resumed: &job, confirmed: true,
		}
		if job.Rest {
			run.sel.Names = nil // not all of them are known yet
		}
		d.behind(run, func() { d.goOn(ctx, run) })
	}
}

func (d *Daemon) goOn(ctx context.Context, run *restoreRun) {
	_, err := d.restore(ctx, run)
	if err != nil && !errors.Is(err, busapi.ErrOutOfRange) && ctx.Err() == nil {
		d.abandon(ctx, *run.resumed, err)
	}
}

// abandon gives a job up. The hooks that it owes are run: part of what they
// are about may be in place.
func (d *Daemon) abandon(ctx context.Context, job jobRecord, why error) {
	d.log.Error("cannot go on with an interrupted reprovision, giving it up", "items", len(job.Items), "error", why)
	d.event("reprovision", map[string]any{"state": "given up", "planned": int64(len(job.Items)), "reason": why.Error()})
	for _, c := range job.Owed {
		if err := d.runHooks(ctx, c); err != nil {
			d.log.Warn("hook failed", "class", c, "error", err)
		}
	}
	if err := errors.Join(d.state.dropJob(job.Run), os.RemoveAll(d.packsOf(job.Run))); err != nil {
		d.log.Error("cannot drop the record of it", "error", err)
	}
}
