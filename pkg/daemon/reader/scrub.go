package reader

import (
	"context"
	"time"

	"github.com/reprovision/reprovision/pkg/vault"
)

const (
	scrubStep  = 1 << 20  // bytes that are read at once
	scrubNote  = 64 << 20 // bytes between two notes of how far it is: each costs a sync
	scrubPause = 10 * time.Minute
)

// scrubber reads every stored byte from time to time, at a bounded rate and while nobody uses
// the store, and compares it with its digest. No key is needed for that. It goes on where it was
// after a restart.
func (d *Daemon) scrubber(ctx context.Context) error {
	every := d.cfg.Store.ScrubEvery.Duration
	if every == 0 {
		return nil
	}
	for {
		if err := pause(ctx, d.untilScrub(every)); err != nil {
			return err
		}
		if err := d.scrub(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			d.log.Error("cannot scrub the store", "error", err)
			if err := pause(ctx, min(scrubPause, every)); err != nil {
				return err
			}
		}
	}
}

func pause(ctx context.Context, span time.Duration) error {
	select {
	case <-time.After(span):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// untilScrub counts from the last whole scrub, so that restarts neither skip nor repeat
// one. A new store counts from when it was first looked at.
func (d *Daemon) untilScrub(every time.Duration) time.Duration {
	m := d.ledger.scrub()
	if m.Vault != "" {
		return 0
	}
	if m.Finished == 0 && m.Began == 0 {
		m.Began = d.now().Unix()
		if err := d.ledger.setScrub(m); err != nil {
			d.log.Warn("cannot note when the first scrub is due", "error", err)
		}
	}
	last := time.Unix(max(m.Finished, m.Began), 0)
	return min(max(last.Add(every).Sub(d.now()), 0), every)
}

func (d *Daemon) scrub(ctx context.Context) error {
	records, err := readable(d.store, d.log)
	if err != nil {
		return err
	}
	m := d.ledger.scrub()
	for _, r := range records { // in the order of their ids
		id := r.ID.String()
		if id < m.Vault {
			continue
		}
		var after vault.BlobID
		if id == m.Vault {
			after, _ = vault.ParseBlobID(m.Blob) // what does not parse is the beginning
		}
		err := d.scrubVault(ctx, r.ID, after)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil { // one that cannot be read keeps nobody from the others
			d.log.Error("cannot scrub a vault", "vault", r.ID, "error", err)
		}
	}
	d.log.Info("the store was scrubbed")
	defer d.bus.Refresh()
	return d.ledger.setScrub(scrubMark{Finished: d.now().Unix()})
}

func (d *Daemon) scrubVault(ctx context.Context, id vault.VaultID, after vault.BlobID) error {
	seen := vault.Inspection{Last: after}
	for unnoted := int64(scrubNote); !seen.End; {
		if err := d.uses.idle(ctx, 0); err != nil {
			return err
		}
		var err error
		if seen, err = d.store.Inspect(id, seen.Last, scrubStep); err != nil {
			return err
		}
		d.foundDamage(id, seen.Bad)
		if unnoted += seen.Bytes; unnoted >= scrubNote {
			unnoted = 0
			if err := d.noteScrub(id, seen.Last); err != nil {
				return err
			}
		}
		wait := time.Duration(float64(seen.Bytes) / float64(d.cfg.Store.ScrubRate) * float64(time.Second))
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
	return nil
}

func (d *Daemon) noteScrub(id vault.VaultID, at vault.BlobID) error {
	m := d.ledger.scrub()
	m.Vault, m.Blob = id.String(), at.String()
	return d.ledger.setScrub(m)
}
