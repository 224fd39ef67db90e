package device

import (
	"context"
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/reprovision"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/vault"
)

// act does with damage what the policy of its class says.
func (d *Daemon) act(ctx context.Context, seen sight) error {
	var auto, ask []detect.Finding
	for _, f := range d.findings.due(seen.report.Damaged(), d.now()) {
		switch d.cfg.Reprovision.For(f.Class) {
		case config.Restore:
			auto = append(auto, f)
		case config.Ask:
			ask = append(ask, f)
		}
	}
	if len(ask) > 0 {
		d.wait(fmt.Sprintf("%d damaged items wait for the owner's word", len(ask)))
		select {
		case d.asks <- ask:
		default: // a question is open already
		}
	}
	if len(auto) == 0 {
		return nil
	}
	if d.keeper.current() == nil {
		d.wait(fmt.Sprintf("%d damaged items wait for the reader to come into range", len(auto)))
		d.keeper.try()
		return nil
	}
	return d.mend(ctx, auto)
}

// asker puts the question of step 622 to the owner, one at a time, while the
// watchman goes on. Without an agent the damage waits, and the status says so.
func (d *Daemon) asker(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case damaged := <-d.asks:
			yes, err := d.bus.Prompter().ConfirmReprovision(ctx, busapi.ReprovisionResult{
				Planned: int64(len(damaged)), Items: d.toBus(damaged),
			})
			if err == nil && yes {
				err = d.mend(ctx, damaged)
			}
			if err != nil && ctx.Err() == nil {
				d.log.Info("damage waits for the owner's word", "items", len(damaged), "error", err)
			}
			d.findings.giveUp(damaged, d.now()) // ask again later, not at once
		}
	}
}

func (d *Daemon) wait(text string) {
	d.findings.setWaiting(text)
	d.bus.Refresh()
}

// mend reprovisions damaged items without a question. What cannot be mended is
// tried again later, after a growing time.
func (d *Daemon) mend(ctx context.Context, damaged []detect.Finding) error {
	sel := reprovision.Selection{Names: make(map[userdata.Name]bool), Damage: true}
	for _, f := range damaged {
		sel.Names[f.Name] = true
	}
	result, err := d.restore(ctx, &restoreRun{Daemon: d, sel: sel, confirmed: true})
	switch {
	case errors.Is(err, busapi.ErrOutOfRange):
		return nil // the next session looks again
	case errors.Is(err, busapi.ErrNoData):
		d.wait("the reader has nothing to restore the damaged items from")
		fallthrough
	case err != nil && !errors.Is(err, busapi.ErrPartial):
		d.findings.giveUp(damaged, d.now())
		return err
	}
	if result.Restored < result.Planned || len(result.Failed) > 0 {
		d.findings.giveUp(damaged, d.now())
	}
	d.request(look{why: "mended"})
	return nil
}

// greet compares notes with the reader at the beginning of a session: what is
// the newest snapshot, and is this a new device whose owner has data there?
func (d *Daemon) greet(ctx context.Context) {
	s := d.keeper.current()
	if s == nil {
		return
	}
	err := d.compareNotes(ctx, s)
	if err != nil && ctx.Err() == nil && !errors.Is(err, session.ErrDisconnected) {
		d.log.Warn("cannot compare notes with the reader", "error", err)
	}
}

func (d *Daemon) compareNotes(ctx context.Context, s *session.Session) error {
	v, have, err := d.own()
	if err != nil {
		return err
	}
	if have {
		head, err := d.follow(ctx, s, v)
		if err != nil || head != nil {
			return err
		}
	}
	if d.book.current() != nil {
		return nil // known data, and a reader that has lost it: the next backup brings it back
	}
	return d.replace(ctx, s, v.id)
}

// replace is for a device that has neither data of its own nor a reference: the
// owner may have data of an earlier device at the reader (paragraph 38).
func (d *Daemon) replace(ctx context.Context, s *session.Session, own vault.VaultID) error {
	_, others, err := d.find(ctx, s, own)
	if err != nil || len(others) == 0 {
		return err
	}
	from, err := d.choose(others)
	if err != nil || d.cfg.Reprovision.Replacement != config.Restore {
		d.wait("the reader has data of another device of yours: scrctl reprovision brings it here")
		return nil
	}
	_, err = d.restore(ctx, &restoreRun{Daemon: d, from: &from, confirmed: true})
	return err
}

// choose decides between several devices' data: the one that is alone, or the
// one that bears this device's name.
func (d *Daemon) choose(others []session.Vault) (session.Vault, error) {
	if len(others) == 1 {
		return others[0], nil
	}
	var same []session.Vault
	for _, v := range others {
		if v.Owner == d.cfg.Name {
			same = append(same, v)
		}
	}
	if len(same) == 1 {
		return same[0], nil
	}
	return session.Vault{}, fmt.Errorf("%w: the reader holds data of %d other devices, and none or several are called %q",
		busapi.ErrInputNeeded, len(others), d.cfg.Name)
}

// resume goes on with a reprovision that was cut short.
func (d *Daemon) resume(ctx context.Context) error {
	var job jobRecord
	known, err := d.state.load(keyJob, &job)
	if err != nil || !known || d.keeper.current() == nil {
		return err
	}
	d.log.Info("going on with an interrupted reprovision", "items", len(job.Names))
	sel := reprovision.Selection{Names: make(map[userdata.Name]bool), Overwrite: job.Overwrite}
	for _, n := range job.Names {
		sel.Names[n] = true
	}
	_, err = d.restore(ctx, &restoreRun{
		Daemon: d, sel: sel, snapshot: job.Snapshot, quarantine: job.Quarantine, confirmed: true,
	})
	if errors.Is(err, busapi.ErrOutOfRange) {
		return nil
	}
	return errors.Join(err, d.state.drop(keyJob))
}
