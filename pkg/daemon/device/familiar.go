package device

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// familiar is what a session has told of this device's vault. For as long as it lasts nobody
// else commits to that vault: one session of a device ends the other, and whoever takes the
// vault over takes it away. So there is no need to ask for it again.
type familiar struct {
	mu      sync.Mutex
	session *session.Session
	vault   vault.VaultID
	head    vault.SnapshotID
	at      time.Time
	epoch   uint64 // of the device's key slots then
}

// freshFor is how long what the reader told needs no confirmation.
const freshFor = 10 * time.Second

// staleAfter is when the reader is asked again whatever is known: events, which tell of
// damage, can be lost.
const staleAfter = time.Hour

// note remembers the newest snapshot of the vault, as the session told it.
func (f *familiar) note(s *session.Session, v vault.VaultID, head vault.SnapshotID, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.session, f.vault, f.head, f.at = s, v, head, at
}

// forget has everything be asked for again.
func (f *familiar) forget() { f.note(nil, vault.VaultID{}, vault.SnapshotID{}, time.Time{}) }

// knows tells whether that is the newest snapshot, and since when it is known.
func (f *familiar) knows(s *session.Session, v vault.VaultID, head vault.SnapshotID) (since time.Time, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at, s != nil && f.session == s && f.vault == v && f.head == head
}

// recognize returns the device's vault and its newest data set where the session has told
// of them before; false to ask.
func (d *Daemon) recognize(s *session.Session) (v opened, ds *vault.DataSet, since time.Time, known bool) {
	v, have, err := d.own()
	ds = d.book.current()
	if err != nil || !have || ds == nil || ds.Unproven() > 0 || d.rotating() || !d.sameSlots() {
		return opened{}, nil, time.Time{}, false
	}
	since, known = d.familiar.knows(s, v.id, ds.Header().Snapshot)
	return v, ds, since, known && d.now().Sub(since) < staleAfter
}

// met notes what the session told of the vault, and which key slots the device holds.
func (d *Daemon) met(s *session.Session, v vault.VaultID, head vault.SnapshotID) {
	d.familiar.note(s, v, head, d.now())
	held, err := d.keys.VaultKey()
	d.familiar.mu.Lock()
	defer d.familiar.mu.Unlock()
	if d.familiar.epoch = held.Epoch; err != nil {
		d.familiar.session = nil
	}
}

// sameSlots tells whether the device holds the key slots that it held then: where it has others
// the reader is to have them, too.
func (d *Daemon) sameSlots() bool {
	held, err := d.keys.VaultKey()
	d.familiar.mu.Lock()
	defer d.familiar.mu.Unlock()
	return err == nil && held.Epoch == d.familiar.epoch
}

// rotating tells whether the vault's key is to be another one, which the reader may know already.
func (d *Daemon) rotating() bool {
	held, err := d.keys.VaultKey()
	return err == nil && held.Next != nil
}

// stillThere asks whether the reader has what was written last. It costs a third of asking
// for all that it knows of the device's vaults.
func (d *Daemon) stillThere(ctx context.Context, s *session.Session, v opened, ds *vault.DataSet) bool {
	h := ds.Header()
	for _, p := range vault.Parts() {
		if n := len(h.Index[p]); n > 0 {
			missing, err := s.Missing(ctx, v.id, []session.ID{h.Index[p][n-1]})
			return err == nil && len(missing) == 0
		}
	}
	return false
}

// askAlone waits until nobody else asks the reader for the device's vaults, for what he is told
// will do for both.
func (d *Daemon) askAlone(ctx context.Context) (done func(), err error) {
	select {
	case d.asking <- struct{}{}:
		return func() { <-d.asking }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// strangers are the vaults that this device might take over, as a session has told of them.
type strangers struct {
	mu      sync.Mutex
	session *session.Session
	vaults  []session.Vault
	at      time.Time
}

func (t *strangers) note(s *session.Session, vaults []session.Vault, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.session, t.vaults, t.at = s, vaults, at
}

// forget has them be asked for again.
func (t *strangers) forget() { t.note(nil, nil, time.Time{}) }

func (t *strangers) told(s *session.Session) ([]session.Vault, time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s == nil || t.session != s {
		return nil, time.Time{}
	}
	return slices.Clone(t.vaults), t.at
}

// others returns the vaults that this device might take over. What the session told of them a
// moment ago is not asked for again: whoever takes one over sees then what is the newest in it.
func (d *Daemon) others(ctx context.Context, s *session.Session, own vault.VaultID) ([]session.Vault, error) {
	if vaults, at := d.strangers.told(s); len(vaults) > 0 && d.now().Sub(at) < freshFor {
		return vaults, nil
	}
	_, others, err := d.find(ctx, s, own)
	return others, err
}
