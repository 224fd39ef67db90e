package reader

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/keyring/attempts"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

func policy(c config.Passcode) attempts.Policy {
	return attempts.Policy{
		Tries: int(min(c.Tries, math.MaxInt32)), Delay: c.Delay.Duration, MaxDelay: c.MaxDelay.Duration,
	}
}

// Unlock takes one entry of a passcode or a recovery code (step 620), of any paired
// device. That of a passcode is on the disk as a wrong one before the answer leaves:
// with the answer the device finds out whether it was right, and might then be gone. A
// recovery code has 128 random bits, and needs no counting.
func (d *Daemon) Unlock(_ context.Context, p session.Peer, e session.Entry, ke1 []byte) ([]byte, error) {
	check, err := d.checkOf(e)
	if err != nil {
		return nil, err
	}
	id, err := d.keys.Identity()
	if err != nil {
		return nil, err
	}
	binding, err := keyring.UnlockBinding(p.Exporter, p.Key, id.Public(), e.Vault, e.Kind)
	if err != nil {
		return nil, err
	}
	v, err := keyring.LoadVerifier(check, binding)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", session.ErrDamaged, err)
	}
	if old := d.entries.take(p, e); old.Verifier != nil {
		d.wrong(p, e) // it was given up
	}
	if err := d.count(p, e); err != nil {
		return nil, err
	}
	if !d.entries.begin(p, e, begun{v, check}) {
		return nil, session.ErrTooLarge
	}
	ke2, err := v.Respond(ke1)
	return ke2, remote(err)
}

// checkOf is what an entry is checked by.
func (d *Daemon) checkOf(e session.Entry) ([]byte, error) {
	r, err := d.known(e.Vault)
	if err != nil {
		return nil, remote(err)
	}
	s := slot(r, e.Kind+checkSuffix)
	if !checked(e.Kind) || s == nil || len(s.Data) < len(session.ID{}) {
		return nil, fmt.Errorf("%w: it has no %s", session.ErrNoVault, e.Kind)
	}
	return s.Data[len(session.ID{}):], nil
}

// count takes the attempt, or says why not.
func (d *Daemon) count(p session.Peer, e session.Entry) error {
	if e.Kind != keyring.SlotPasscode {
		return nil
	}
	c, err := d.attempts.Begin(e.Vault)
	var out *attempts.LockedOut
	if errors.As(err, &out) {
		d.attempt(p, e, "refused", c)
		return &session.LockedOut{RetryAfter: out.RetryAfter}
	}
	if err != nil {
		return err
	}
	d.attempt(p, e, "counted", c)
	return nil
}

// Prove verifies what Unlock began. Only a right entry takes back what was counted.
func (d *Daemon) Prove(_ context.Context, p session.Peer, e session.Entry, ke3 []byte) error {
	v := d.entries.take(p, e)
	if v.Verifier == nil {
		return fmt.Errorf("%w: nothing was entered", session.ErrBadRequest)
	}
	now, err := d.checkOf(e)
	if err != nil {
		return err
	}
	if len(ke3) == 0 || v.Finish(ke3) != nil || !bytes.Equal(now, v.check) { // another one was set meanwhile
		left := d.wrong(p, e)
		if e.Kind != keyring.SlotPasscode { // no others are counted
			left = -1
		}
		return &session.WrongPasscode{Left: left}
	}
	if err := d.attempts.Reset(e.Vault); err != nil {
		return err
	}
	d.entries.unlock(p, e, v.check)
	c, err := d.attempts.Look(e.Vault)
	d.attempt(p, e, "right", c)
	d.showAttempts()
	return err
}

// wrong says that an entry was wrong, or was not seen through; it is counted already.
func (d *Daemon) wrong(p session.Peer, e session.Entry) (left int) {
	c, err := d.attempts.Look(e.Vault)
	if err != nil {
		d.log.Error("cannot tell how many passcodes were wrong", "vault", vault.VaultID(e.Vault), "error", err)
	}
	d.attempt(p, e, "wrong", c)
	d.showAttempts()
	d.enforce(e.Vault)
	return c.Left
}

// abandoned deals with what a session that has ended has left open.
func (d *Daemon) abandoned(p session.Peer) {
	for _, e := range d.entries.end(p) {
		d.wrong(p, e)
	}
}

// attempt tells of an entry.
func (d *Daemon) attempt(p session.Peer, e session.Entry, state string, c attempts.Count) {
	fields := map[string]any{
		"what": "reprovision", "kind": e.Kind, "state": state, "device": p.ID, "vault": vault.VaultID(e.Vault).String(),
		"wrong": int64(c.Wrong), "left": int64(c.Left),
	}
	if peer, err := d.keys.Peer(p.ID); err == nil {
		fields["name"] = peer.Name
	}
	d.log.Info("reprovisioning passcode", "state", state, "kind", e.Kind, "device", p.ID, "wrong", c.Wrong, "left", c.Left)
	d.event("attempt", fields)
}

// showAttempts puts on the display how many passcodes were wrong.
func (d *Daemon) showAttempts() {
	text := ""
	d.eachCount(func(r vault.Record, c attempts.Count) {
		whose := "data"
		if owner, err := d.keys.Peer(r.Owner); err == nil {
			whose = "data of " + owner.Name
		}
		switch {
		case c.Wrong == 0:
		case c.Left == 0:
			text = fmt.Sprintf("Locked: only the recovery code helps. It was for the %s.", whose)
		case text == "":
			text = fmt.Sprintf("%d more tries. %d wrong for the %s.", c.Left, c.Wrong, whose)
		}
	})
	d.panel.SetAlert(text)
	d.bus.Refresh()
}

func (d *Daemon) eachCount(do func(vault.Record, attempts.Count)) {
	records, err := readable(d.store, d.log)
	if err != nil {
		d.log.Error("cannot read the vaults", "error", err)
	}
	for _, r := range records {
		c, err := d.attempts.Look(r.ID)
		if err != nil {
			d.log.Error("cannot tell how many passcodes were wrong", "vault", r.ID, "error", err)
			continue
		}
		do(r, c)
	}
}

// recount shows, at the beginning, what was counted before, and does what a power
// cut came before.
func (d *Daemon) recount(context.Context) error {
	d.eachCount(func(r vault.Record, _ attempts.Count) { d.enforce(r.ID) })
	d.showAttempts()
	return nil
}

// wiped tells whether what a card's record speaks of was deleted for wrong passcodes, or
// is to be. A vault that the same device made anew since is another one.
func (d *Daemon) wiped(on vault.Record, gone bool) bool {
	if was, err := d.attempts.Wiped(on.ID, on.Created); err == nil && was {
		return true
	}
	c, err := d.attempts.Look(on.ID)
	return gone && err == nil && d.tooMany(c)
}

// tooMany tells whether data are to be deleted. A count that is damaged is no reason.
func (d *Daemon) tooMany(c attempts.Count) bool {
	return d.cfg.Passcode.WipeAfter != 0 && int64(c.Wrong) >= d.cfg.Passcode.WipeAfter && !c.Damaged
}

// enforce deletes a vault once there were as many wrong passcodes as the owner of the
// reader allows.
func (d *Daemon) enforce(id vault.VaultID) {
	c, err := d.wipe(id)
	if err == nil && !d.tooMany(c) {
		return
	}
	if errors.Is(err, vault.ErrTraces) {
		d.log.Error("the data are deleted, but not overwritten", "vault", id, "error", err)
	} else if err != nil && !errors.Is(err, vault.ErrNoVault) { // it was on the card alone
		d.log.Error("cannot delete data after too many wrong passcodes", "vault", id, "error", err)
		return
	}
	d.log.Warn("deleted data after too many wrong passcodes", "vault", id, "wrong", c.Wrong)
	d.event("attempt", map[string]any{"what": "reprovision", "state": "wiped", "vault": id.String(), "wrong": int64(c.Wrong)})
	d.mirror.erase(context.Background(), id)
	d.showAttempts()
}

// wipe deletes a vault from the store, if the count is as high. A card that was out, and
// comes back, is deleted by the mark, too, also when the vault was created anew.
func (d *Daemon) wipe(id vault.VaultID) (attempts.Count, error) {
	d.records.Lock()
	defer d.records.Unlock()
	c, err := d.attempts.Look(id)
	if err != nil || !d.tooMany(c) {
		return c, err
	}
	if r, err := d.known(id); err == nil {
		if err := d.attempts.MarkWiped(id, r.Created); err != nil {
			d.log.Error("cannot have cards erased that come back", "vault", id, "error", err)
		}
	}
	return c, d.store.Delete(id)
}
