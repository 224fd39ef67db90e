package reader

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"syscall"

	"github.com/reprovision/reprovision/pkg/bluez"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// Paired finds a device by its key.
func (d *Daemon) Paired(key ed25519.PublicKey) (string, bool) {
	p, err := d.keys.Peer(keyring.PeerID(key))
	if err != nil || !p.PublicKey.Equal(key) {
		return "", false
	}
	return p.ID, true
}

// Connected takes note of a device that came into range.
func (d *Daemon) Connected(p session.Peer) {
	d.presence.enter(p.ID)
	d.event("link", map[string]any{"device": p.ID, "in_range": true})
	d.log.Info("device in range", "device", p.ID)
	d.bus.Refresh()
}

// Disconnected takes note of a device that went out of range.
func (d *Daemon) Disconnected(p session.Peer, reason error) {
	d.presence.leave(p.ID)
	d.uses.gone(p)
	d.tidySoon()
	d.abandoned(p)
	fields := map[string]any{"device": p.ID, "in_range": false}
	if reason != nil {
		fields["reason"] = reason.Error()
	}
	d.event("link", fields)
	d.log.Info("device out of range", "device", p.ID, "reason", reason)
	d.bus.Refresh()
	if _, err := d.keys.Peer(p.ID); errors.Is(err, keyring.ErrNoPeer) {
		d.bluetooth.forget(context.Background(), bluez.Address(p.Address)) // not before: it ends the link
	}
}

// Hello answers with the reader's name and the state of its card.
func (d *Daemon) Hello(_ context.Context, p session.Peer, theirs session.Hello) (session.Hello, error) {
	d.meet(p, theirs.Name)
	if err := d.plans.hear(p.ID, theirs.Backup); err != nil {
		d.log.Warn("cannot note when a device backs up", "device", p.ID, "error", err)
	}
	return session.Hello{Name: d.cfg.Name, Card: d.mirror.stateFor(d.vaultOf(p.ID)), Run: d.run}, nil
}

// Events tells a device of changes of the card, of damage to its data, and that it was
// forgotten.
func (d *Daemon) Events(ctx context.Context, p session.Peer, send func(session.Event) error) error {
	events, stop := d.presence.listen(p.ID)
	defer stop()
	if n := d.damageOf(p.ID); n > 0 {
		if err := send(session.Event{Kind: session.EventDamage, Blobs: n}); err != nil {
			return err
		}
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-events:
			if e.Kind == session.EventCard {
				e.Card = d.mirror.stateFor(d.vaultOf(p.ID))
			}
			if err := send(e); err != nil {
				return err
			}
		}
	}
}

// Unpair forgets the calling device. Its data stay, for its successor.
func (d *Daemon) Unpair(_ context.Context, p session.Peer) error {
	err := d.unpin(p.ID)
	d.event("pairing", map[string]any{"state": "unpaired", "device": p.ID})
	d.bus.Refresh()
	return err
}

// remote gives an error of the store the name that it has on the wire.
func remote(err error) error {
	for _, t := range []struct{ from, to error }{
		{vault.ErrNoVault, session.ErrNoVault},
		{vault.ErrExists, session.ErrExists},
		{vault.ErrStale, session.ErrStale},
		{vault.ErrNoBlob, session.ErrNoData},
		{vault.ErrDamaged, session.ErrDamaged},
		{vault.ErrConflict, session.ErrConflict},
		{session.ErrOverQuota, session.ErrOverQuota},
		{vault.ErrLimit, session.ErrTooLarge},
		{vault.ErrCommit, session.ErrBadRequest},
		{vault.ErrRecord, session.ErrBadRequest},
		{vault.ErrSealBroken, session.ErrBadRequest},
		{keyring.ErrBadMessage, session.ErrBadRequest},
		{syscall.ENOSPC, session.ErrTooLarge}, // its text says that the reader's disk is full
	} {
		if errors.Is(err, t.from) {
			return fmt.Errorf("%w: %w", t.to, err)
		}
	}
	return err
}
