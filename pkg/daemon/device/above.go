package device

import (
	"context"
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/authorization"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// unreadable tells that what the reader has as the newest data set is none of this
// vault's, or not whole: to try again does not help.
func unreadable(err error) bool {
	for _, reason := range []error{vault.ErrSealBroken, vault.ErrDataSet, session.ErrNoData, session.ErrDamaged} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}

// maxAbove is the last generation that is gone above without proof that it was ever given
// out. It leaves as many again to count on through before any reader or card refuses one.
const maxAbove = vault.MaxSeq / 4

// errGeneration tells of a snapshot after which no other could follow.
var errGeneration = errors.New("no generation can follow")

// goAbove prepares a backup on top of a data set that cannot be read, because a card or
// a lying reader brought it: it builds on the newest one below that can, and takes
// nothing of what is above for granted.
func (r *backupRun) goAbove(ctx context.Context, why error) error {
	list, err := r.session.Snapshots(ctx, session.SnapshotQuery{Vault: r.vault.id})
	if err != nil || len(list) == 0 {
		return errors.Join(why, err)
	}
	if list[0].Seq > maxAbove {
		return fmt.Errorf("cannot save on top of snapshot %d: %w: %w", list[0].Seq, errGeneration, why)
	}
	r.above, r.base = &list[0], nil
	for _, snap := range list[1:] {
		ds, err := r.load(ctx, r.session, r.vault, snap)
		if err == nil && ds.Complete() {
			r.base = ds
			break
		}
		if err != nil && !unreadable(err) {
			return err
		}
	}
	r.log.Error("the newest data set at the reader cannot be read, saving anew on top of it", "seq", r.above.Seq, "error", why)
	r.event("notice", map[string]any{
		"text": "the newest data at the reader are not this device's, or damaged, and were passed over; is the card in the reader the right one?",
	})
	return nil
}

// vouch signs the head of a snapshot, so that other readers know it for this device's
// when it comes to them on a card.
func (d *Daemon) vouch(h authorization.Head) ([]byte, error) {
	id, err := d.keys.Identity()
	if err != nil {
		return nil, err
	}
	return h.Vouch(id)
}
