package reader

import (
	"context"
	"sync"
	"time"

	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// uses knows who is using the store, so that it is tidied when nobody is. It is safe
// for concurrent use.
type uses struct {
	mu        sync.Mutex
	running   int                      // calls
	changed   chan struct{}            // closed and replaced whenever a call begins or ends
	uploading map[vault.VaultID]uint64 // the session that has been told what is there, and has not committed yet
	limits    map[vault.VaultID]int64  // what its owner may have by the end of the upload
}

func newUses() *uses {
	return &uses{changed: make(chan struct{}), uploading: make(map[vault.VaultID]uint64), limits: make(map[vault.VaultID]int64)}
}

// begin takes note of a call; the caller calls end when it is over.
func (u *uses) begin() (end func()) {
	u.count(1)
	return func() { u.count(-1) }
}

func (u *uses) count(n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.running += n
	close(u.changed)
	u.changed = make(chan struct{})
}

func (u *uses) look() (busy bool, changed <-chan struct{}) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.running > 0, u.changed
}

// idle waits until nobody has used the store for that long.
func (u *uses) idle(ctx context.Context, span time.Duration) error {
	for {
		busy, changed := u.look()
		var quiet <-chan time.Time
		if !busy {
			quiet = time.After(span)
		}
		select {
		case <-quiet:
			return nil
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// upload takes note that a session relies on what it was told to be in a vault.
func (u *uses) upload(id vault.VaultID, p session.Peer) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.uploading[id] = p.Session
}

// limit is what the owner of a vault may have while an upload is under way: now where
// that has just begun.
func (u *uses) limit(id vault.VaultID, now int64) int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, known := u.limits[id]; !known {
		u.limits[id] = now
	}
	return u.limits[id]
}

// committed ends an upload.
func (u *uses) committed(id vault.VaultID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.uploading, id)
	delete(u.limits, id)
}

// gone ends the uploads of a session.
func (u *uses) gone(p session.Peer) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, s := range u.uploading {
		if s == p.Session {
			delete(u.uploading, id)
			delete(u.limits, id)
		}
	}
}

// pending tells whether an upload into a vault is under way.
func (u *uses) pending(id vault.VaultID) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, is := u.uploading[id]
	return is
}
