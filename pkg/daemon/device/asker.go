package device

import (
	"context"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// asker puts the question of step 622 about damage to the owner, one at a time, while
// the watchman goes on. Without an agent the damage waits, and the status says so.
func (d *Daemon) asker(ctx context.Context) error {
	var damaged []detect.Finding
	for {
		if len(damaged) == 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case damaged = <-d.asks:
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		damaged = d.askAbout(ctx, damaged)
	}
}

// askAbout asks for as long as any of the items is damaged. It returns what to ask
// about instead, where more is damaged by now.
func (d *Daemon) askAbout(ctx context.Context, damaged []detect.Finding) (instead []detect.Finding) {
	if damaged = d.findings.due(damaged, d.now()); len(damaged) == 0 {
		return nil // answered already
	}
	ctx, cancel := context.WithCancel(ctx)
	answer := make(chan error, 1)
	defer func() { cancel(); <-answer }()
	go func() {
		defer close(answer)
		answer <- d.confirmDamage(ctx, damaged)
	}()
	for {
		left, changes := d.findings.still(damaged)
		if len(left) == 0 {
			return nil // mended, or let go
		}
		select {
		case <-changes:
		case more := <-d.asks:
			if !covers(damaged, more) {
				return more
			}
		case err := <-answer:
			d.answered(ctx, damaged, err)
			return nil
		}
	}
}

// answered does what the owner has said about damage: nil is yes.
func (d *Daemon) answered(ctx context.Context, damaged []detect.Finding, err error) {
	if err == nil {
		run := d.mending(damaged)
		run.sel.Suspected = true
		err = d.mend(ctx, run, damaged)
	}
	if err != nil && ctx.Err() == nil {
		d.log.Info("damage waits for the owner's word", "items", len(damaged), "error", err)
	}
	d.giveUp(damaged) // ask again later, not at once
}

// confirmDamage asks whether to restore what is damaged; nil is yes.
func (d *Daemon) confirmDamage(ctx context.Context, damaged []detect.Finding) error {
	summary := busapi.ReprovisionResult{Planned: int64(len(damaged)), Items: d.toBus(damaged)}
	if ds := d.book.current(); ds != nil {
		summary.Snapshot = ds.Header().Snapshot.String()
	}
	for _, f := range damaged {
		if f.Verdict == detect.Corrupted {
			summary.Quarantined++
		}
	}
	yes, err := d.bus.Prompter().ConfirmReprovision(ctx, summary)
	if err == nil && !yes {
		err = busapi.ErrDeclined
	}
	return err
}

// covers tells whether all of some findings are among others.
func covers(all, some []detect.Finding) bool {
	known := make(map[userdata.Name]bool, len(all))
	for _, f := range all {
		known[f.Name] = true
	}
	for _, f := range some {
		if !known[f.Name] {
			return false
		}
	}
	return true
}
