package device

import (
	"context"

	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/vault"
)

// The milestones of a restore, as the event "reprovision" names them.
const (
	milestoneStarted   = "started"   // there is a plan, and it is being carried out
	milestoneReceiving = "receiving" // the first blob of contents has come
	milestoneRestored  = "restored"  // all of a class is in place
	milestoneTakenUp   = "taken up"  // and its hooks have run
	milestoneVerified  = "verified"  // the end: everything was read back
)

// tell tells whoever listens how far a restore has got.
func (r *restoreRun) tell(milestone string, fields map[string]any) {
	all := map[string]any{"state": milestone}
	for name, value := range fields {
		all[name] = value
	}
	r.event("reprovision", all)
}

// watchFetch tells of the first blob that comes.
func (r *restoreRun) watchFetch(fetch vault.Fetch) vault.Fetch {
	return func(ctx context.Context, ids []vault.BlobID, got func(vault.BlobID, []byte) error) error {
		return fetch(ctx, ids, func(id vault.BlobID, sealed []byte) error {
			if !r.receiving {
				r.receiving = true
				r.tell(milestoneReceiving, nil)
			}
			return got(id, sealed)
		})
	}
}

// takeUp makes the system take up a class that is in place.
func (r *restoreRun) takeUp(ctx context.Context, c userdata.Class) error {
	r.tell(milestoneRestored, map[string]any{"class": string(c)})
	err := r.runHooks(ctx, c)
	r.tell(milestoneTakenUp, map[string]any{"class": string(c), "failed": reason(err)})
	return err
}
