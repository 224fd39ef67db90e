package reader

import (
	"context"
	"errors"
	"time"

	"github.com/reprovision/reprovision/pkg/vault"
)

const (
	// tidyEvery is how often the store is tidied when nothing gives reason to.
	tidyEvery = 24 * time.Hour
	// sweepBlobs is how many blobs one transaction removes: devices wait for it.
	sweepBlobs = 64
)

// tidySoon has the store tidied as soon as nobody uses it.
func (d *Daemon) tidySoon() {
	select {
	case d.untidy <- struct{}{}:
	default:
	}
}

// tidier thins out the snapshots, removes what nothing names any more and gives the space
// back: after commits and sessions, and once a day, always when nobody is using the store.
func (d *Daemon) tidier(ctx context.Context) error {
	d.tidySoon()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.untidy:
		case <-time.After(tidyEvery):
		}
		if err := d.ledger.flush(); err != nil {
			d.log.Warn("cannot note that a snapshot is being restored", "error", err)
		}
		if err := d.uses.idle(ctx, d.cfg.Store.Idle.Duration); err != nil {
			return err
		}
		if err := d.tidy(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			d.log.Error("cannot tidy the store", "error", err)
		}
	}
}

func (d *Daemon) tidy(ctx context.Context) error {
	records, err := readable(d.store, d.log)
	if err != nil {
		return err
	}
	for _, r := range records {
		if err := d.tidyVault(ctx, r); err != nil {
			if ctx.Err() != nil {
				return err
			}
			d.log.Error("cannot tidy a vault", "vault", r.ID, "error", err)
		}
	}
	freed, err := d.store.Compact(ctx)
	if freed > 0 {
		d.log.Info("the store shrank", "bytes", freed)
	}
	return err
}

// tidyVault leaves a vault alone into which an upload is under way: what its device was
// told to be there has to stay.
func (d *Daemon) tidyVault(ctx context.Context, r vault.Record) error {
	if d.uses.pending(r.ID) {
		return nil
	}
	if err := d.retain(r); err != nil {
		return err
	}
	marked, err := d.store.Mark(r.ID)
	if err != nil {
		return err
	}
	if len(marked.Lost) > 0 {
		d.foundDamage(r.ID, marked.Lost)
	}
	return d.sweep(ctx, marked)
}

// retain removes the snapshots of a vault that no rule keeps.
func (d *Daemon) retain(r vault.Record) error {
	list, err := d.store.Snapshots(r.ID)
	var unread *vault.DamagedSnapshots
	if err != nil && !errors.As(err, &unread) {
		return err
	}
	aged, newestGood, err := d.judge(r.ID, list)
	if err != nil {
		return err
	}
	keep := d.cfg.RetentionOf(r.Owner)
	surplus := vault.Retention(keep).Surplus(aged, time.Local)
	if unread != nil {
		surplus = append(surplus, beneath(unread.Seqs, newestGood)...)
	}
	if len(surplus) == 0 {
		return nil
	}
	d.log.Info("removing old snapshots", "vault", r.ID, "snapshots", len(surplus), "of", len(list))
	return d.store.Remove(r.ID, surplus)
}

// beneath picks the unreadable records below a good snapshot: nothing can be restored from
// such a one, and while it is there nothing can be collected. One above stays: the next
// commit deals with it.
func beneath(seqs []uint64, good uint64) []uint64 {
	var out []uint64
	for _, s := range seqs {
		if s < good {
			out = append(out, s)
		}
	}
	return out
}

// judge tells of each snapshot what retention has to know, and which good one is
// the newest; 0 for none.
func (d *Daemon) judge(id vault.VaultID, list []vault.SnapshotRecord) (aged []vault.Aged, newestGood uint64, err error) {
	damaged, err := d.damagedIn(id)
	if err != nil {
		return nil, 0, err
	}
	held := d.ledger.held(id, d.now())
	for _, s := range list {
		a := vault.Aged{
			Seq: s.Seq, Committed: s.Committed, Good: len(among(damaged, s.Blobs)) == 0,
			Whole: len(s.Blobs) > len(s.Critical), Held: held(s.Snapshot),
		}
		if a.Good {
			newestGood = max(newestGood, s.Seq)
		}
		aged = append(aged, a)
	}
	return aged, newestGood, nil
}

// sweep removes garbage a few blobs at a time, and gives way to devices. When a commit has
// overtaken the mark it stops: the commit has asked for another round.
func (d *Daemon) sweep(ctx context.Context, m vault.Marked) error {
	if len(m.Garbage) == 0 {
		return nil
	}
	d.log.Info("removing what no snapshot needs", "vault", m.Vault, "blobs", len(m.Garbage))
	for n := 0; n < len(m.Garbage); n += sweepBlobs {
		if err := d.uses.idle(ctx, 0); err != nil {
			return err
		}
		if d.uses.pending(m.Vault) {
			return nil
		}
		err := d.store.Sweep(m.Part(n, sweepBlobs))
		if errors.Is(err, vault.ErrStale) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	d.bus.Refresh()
	return nil
}
