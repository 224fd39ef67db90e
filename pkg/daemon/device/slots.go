package device

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/reprovision/reprovision/pkg/authorization"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// successor is the bundle after another, for other slots with the same keys.
func successor(b keyring.Bundle) keyring.Bundle {
	next := b.Clone()
	next.Epoch++
	return next
}

// errNoRotation tells that a vault has had all the keys that it may have.
var errNoRotation = errors.New("the vault has had too many keys for another: only data that are saved anew can have one")

// rotated is a bundle with a new key in front: what is sealed from now on, and all
// that the reader holds once it is rewrapped, opens with that one only. errNoRotation: there were too many before.
func rotated(b keyring.Bundle) (keyring.Bundle, error) {
	if len(b.Keys) >= keyring.MaxKeys {
		return keyring.Bundle{}, errNoRotation
	}
	key, err := vault.NewKey()
	if err != nil {
		return keyring.Bundle{}, err
	}
	next := successor(b)
	next.Keys = append([][]byte{key.Bytes()}, next.Keys...)
	return next, nil
}

// tagOf names, to the reader, the registration that a recipient came from. It tells
// nothing of the public key, which the reader must not know.
func tagOf(recipient []byte) session.ID {
	d := sha256.Sum256(append([]byte("reprovision slot tag v1"), recipient...))
	return session.ID(d[:16])
}

// changeSlots makes a bundle the one in force, here and at the reader. records are of
// new registrations, by kind of slot; nil for none, and then a rotation stays planned
// even if the reader refuses it. The device writes down what it is about to do
// first; if it does not hear what became of it, settle does it again.
func (d *Daemon) changeSlots(ctx context.Context, s *session.Session, held keyring.VaultKey, records map[string][]byte) (session.CardState, error) {
	if err := d.plan(&held); err != nil {
		return session.CardState{}, err
	}
	id, err := d.keys.Identity()
	if err != nil {
		return session.CardState{}, err
	}
	change, err := slotChange(id, held, records)
	if err != nil {
		return session.CardState{}, err
	}
	card, err := s.ChangeSlots(ctx, change)
	if refused(err) && d.inForce(ctx, s, held) {
		d.log.Warn("the reader has changed the key slots, and says that it has not", "error", err)
		card, err = d.keeper.card(), nil
	}
	switch {
	case err == nil:
		d.keeper.setCard(card)
		held.Bundle, held.Protected = *held.Next, held.NextProtected
	case !refused(err) || records == nil && errors.Is(err, session.ErrTooLarge):
		return card, err
	case records == nil && held.NextWraps:
		return card, errors.Join(err, d.keepRotation(held))
	}
	held.Next, held.NextProtected, held.NextWraps, held.NextSince = nil, false, false, 0
	return card, errors.Join(err, d.keys.SetVaultKey(held))
}

// keepRotation leaves a rotation planned that the reader has refused, which may be a lie:
// what it is for opens the data until it is done. A passcode or recovery code that was
// being set with it is given up.
func (d *Daemon) keepRotation(held keyring.VaultKey) error {
	if nothingNew(held) {
		return nil
	}
	next := held.Next.Clone()
	next.Recipients = held.Bundle.Clone().Recipients
	held.Next, held.NextProtected = &next, held.Protected
	return d.plan(&held)
}

// inForce asks whether the reader has the slots that are to be. A key that is in force
// must not be forgotten.
func (d *Daemon) inForce(ctx context.Context, s *session.Session, held keyring.VaultKey) bool {
	mine, _, err := d.sortVaults(ctx, s, held.Vault)
	return err == nil && mine != nil && mine.Epoch == held.Next.Epoch
}

// plan writes down a change of slots that is to come, and since when.
func (d *Daemon) plan(held *keyring.VaultKey) error {
	if held.NextSince == 0 {
		held.NextSince = d.now().Unix()
	}
	return d.keys.SetVaultKey(*held)
}

// refused tells that the reader has not changed the slots, and will not until
// something else is done: a full disk is ErrTooLarge.
func refused(err error) bool {
	return errors.Is(err, session.ErrBadRequest) || errors.Is(err, session.ErrNotAllowed) ||
		errors.Is(err, session.ErrNoVault) || errors.Is(err, session.ErrTooLarge) || errors.Is(err, session.ErrStale)
}

// slotChange seals the bundle that is to be to each of its recipients.
func slotChange(device keyring.Identity, held keyring.VaultKey, records map[string][]byte) (session.SlotChange, error) {
	next := *held.Next
	c := session.SlotChange{Vault: held.Vault, Epoch: next.Epoch}
	if held.NextWraps {
		if err := layers(&c, next.Keys); err != nil {
			return c, err
		}
	}
	for _, kind := range next.Kinds() {
		sealed, err := next.SealSlot(held.Vault, kind)
		if err != nil {
			return c, err
		}
		c.Slots = append(c.Slots, session.NewSlot{
			Slot: session.Slot{Kind: kind, Data: sealed}, Tag: tagOf(next.Recipients[kind]), Record: records[kind],
		})
	}
	if !held.NextProtected {
		plain, err := next.EncodeOpen()
		if err != nil {
			return c, err
		}
		c.Slots = append(c.Slots, session.NewSlot{Slot: session.Slot{Kind: keyring.SlotReader, Data: plain}})
	}
	vouched := authorization.Slots{Vault: held.Vault, Epoch: next.Epoch}
	for _, s := range c.Slots {
		vouched.Slots = append(vouched.Slots, authorization.Slot(s.Slot))
	}
	var err error
	c.Voucher, err = vouched.Vouch(device)
	return c, err
}

// layers has the reader put the newest key's outer layer around all that it holds, in
// place of any earlier one: its last rotation may be several behind.
func layers(c *session.SlotChange, keys [][]byte) error {
	for i, b := range keys {
		key, err := vault.KeyFromBytes(b)
		if err != nil {
			return err
		}
		if outer := key.Outer(); i == 0 {
			c.Wrap = outer[:]
		} else {
			c.Strip = append(c.Strip, outer[:])
		}
	}
	return nil
}

// catchUp plans a change of slots where the reader has older ones than this device, or
// has taken them from a card: what it holds is to open with the newest key only.
func (d *Daemon) catchUp(there session.Vault) error {
	held, err := d.keys.VaultKey()
	if err != nil || held.Next != nil || !there.Behind && there.Epoch >= held.Epoch {
		return err
	}
	d.log.Info("the reader's key slots are behind", "vault", vault.VaultID(held.Vault), "reader", there.Epoch, "device", held.Epoch)
	next := successor(held.Bundle)
	held.Next, held.NextProtected, held.NextWraps = &next, held.Protected, true
	return d.plan(&held)
}

// settle ends a change of slots that was cut short, or that was put off. Where the
// reader never heard of the passcode that was being set, that is given up.
func (d *Daemon) settle(ctx context.Context, s *session.Session) error {
	held, err := d.keys.VaultKey()
	if errors.Is(err, keyring.ErrNoVaultKey) || err == nil && held.Next == nil {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = d.changeSlots(ctx, s, held, nil)
	if errors.Is(err, session.ErrBadRequest) && nothingNew(held) {
		return d.settleWithout(ctx, s, held)
	}
	if errors.Is(err, session.ErrBadRequest) {
		d.log.Warn("a passcode or recovery code that was being set is void", "error", err)
		d.event("notice", map[string]any{"text": "the passcode or recovery code that was being set is void: set it again"})
		return d.settle(ctx, s) // the rotation that was to come with it, which registers nothing
	}
	if err != nil {
		return fmt.Errorf("cannot rotate the vault key: %w", err)
	}
	if !nothingNew(held) {
		d.event("notice", map[string]any{"text": "the passcode or recovery code that was set last is in force now; the one from before is void"})
	}
	d.log.Info("rotated the vault key", "vault", vault.VaultID(held.Vault), "keys", len(held.Next.Keys))
	d.bus.Refresh()
	return nil
}

// nothingNew tells that a change of slots registers nothing.
func nothingNew(held keyring.VaultKey) bool {
	for kind, recipient := range held.Next.Recipients {
		if !bytes.Equal(recipient, held.Recipients[kind]) {
			return false
		}
	}
	return true
}

// settleWithout gives up what a reader does not know how to check: it was set at another
// one. The slots that are there would stay open to the keys from before otherwise.
func (d *Daemon) settleWithout(ctx context.Context, s *session.Session, held keyring.VaultKey) error {
	next := held.Next.Clone()
	delete(next.Recipients, keyring.SlotPasscode)
	delete(next.Recipients, keyring.SlotRecovery)
	without := held
	without.Next = &next
	if _, err := d.changeSlots(ctx, s, without, nil); err != nil {
		if refused(err) { // it is no matter of what it can check
			err = errors.Join(err, d.plan(&held))
		}
		return fmt.Errorf("cannot rotate the vault key: %w", err)
	}
	d.log.Warn("the reader cannot check the passcode or the recovery code", "vault", vault.VaultID(held.Vault))
	d.event("notice", map[string]any{"text": "this reader cannot check the passcode or the recovery code, which were set at another one: set them again"})
	d.bus.Refresh()
	return nil
}

// settlePause is how long a rotation that the reader cannot do, for want of room, is
// put off: it costs the reader the writing of all that it holds.
const settlePause = 10 * time.Minute

// settleLater settles, unless a backup is under way: the next one does, too; or a
// restore, however often that gives way.
func (d *Daemon) settleLater(ctx context.Context) {
	if held, err := d.keys.VaultKey(); err != nil || held.Next == nil || d.now().Before(d.settleAt) {
		return
	}
	select {
	case d.backups <- struct{}{}:
		defer func() { <-d.backups }()
	default:
		return
	}
	if d.ops.restoring() {
		return
	}
	t, err := d.ops.begin(ctx, activityPasscode, rankUrgent)
	if err != nil {
		return
	}
	defer t.end()
	if d.ops.restoring() { // it has just given way, and goes on with the keys that it has
		return
	}
	s := d.keeper.current()
	if s == nil {
		return
	}
	if v, have, err := d.own(); err != nil || !have {
		return
	} else if mine, _, err := d.find(ctx, s, v.id); err != nil || mine == nil {
		return // ensure deals with that
	}
	if err := d.settle(ctx, s); err != nil && ctx.Err() == nil && !errors.Is(err, session.ErrDisconnected) {
		d.heldOff(err)
		d.settleAt = d.now().Add(settlePause)
	}
}

// heldOff reports that the reader does not change its keys. It may be a reader that
// keeps the old ones in force on purpose: what the change was for still opens the data.
func (d *Daemon) heldOff(why error) {
	d.log.Error("cannot end a change of key slots, trying again later", "error", why)
	d.bus.Refresh()
	held, err := d.keys.VaultKey()
	if err != nil || held.Next == nil {
		return
	}
	since := time.Unix(held.NextSince, 0)
	d.event("notice", map[string]any{
		"text":         fmt.Sprintf("the reader has not changed its keys since %s: an earlier phone, passcode or recovery code still opens the data there", since.Format(time.DateTime)),
		"keys_pending": held.NextSince,
	})
}

// exclusively waits until neither a backup nor a restore is under way, and keeps
// them waiting: what is sealed must not change below them.
func (d *Daemon) exclusively(ctx context.Context) (end func(), err error) {
	endBackup, err := d.ops.only(ctx, activityPasscode, d.backups)
	if err != nil {
		return nil, err
	}
	t, err := d.ops.begin(ctx, activityPasscode, rankIdle) // after a restore that has given way, too
	if err != nil {
		endBackup()
		return nil, err
	}
	return func() { t.end(); endBackup() }, nil
}
