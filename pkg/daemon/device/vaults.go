package device

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/reprovision"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// opened is this device's vault, with its key.
type opened struct {
	id  vault.VaultID
	key vault.Key
	// protected says that the reader gets no slot that opens without a passcode.
	protected bool
}

// own is the vault of which this device holds the key; false when it holds none.
// While a rotation is under way the key opens what is sealed either way, and seals
// with the old one: that is in every slot, whatever the reader has done by now.
func (d *Daemon) own() (opened, bool, error) {
	held, err := d.keys.VaultKey()
	if errors.Is(err, keyring.ErrNoVaultKey) {
		return opened{}, false, nil
	}
	if err != nil {
		return opened{}, false, err
	}
	v, err := open(held)
	return v, err == nil, err
}

func open(held keyring.VaultKey) (opened, error) {
	ages := held.Keys
	if held.Next != nil {
		ages = append(slices.Clone(ages), held.Next.Keys[0])
	}
	key, err := vault.KeyOfAges(ages)
	if err != nil {
		return opened{}, fmt.Errorf("cannot use the stored vault key: %w", err)
	}
	return opened{id: held.Vault, key: key, protected: held.Protected}, nil
}

// ensure makes a vault key if there is none, and the vault at the reader if that
// does not have it. A rotation that is under way is ended, if that can be.
func (d *Daemon) ensure(ctx context.Context, s *session.Session) (opened, error) {
	v, _, err := d.ensureKnown(ctx, s)
	return v, err
}

// ensureKnown is ensure; it returns what the reader says of the vault, too, nil for a
// new one.
func (d *Daemon) ensureKnown(ctx context.Context, s *session.Session) (opened, *session.Vault, error) {
	v, have, err := d.own()
	if err != nil {
		return opened{}, nil, err
	}
	if !have {
		if v, err = d.newVault(false); err != nil {
			return opened{}, nil, err
		}
	}
	there, _, err := d.find(ctx, s, v.id)
	if err != nil {
		return v, nil, err
	}
	if there != nil {
		if err := d.catchUp(*there); err != nil {
			return v, nil, err
		}
		if err := d.settle(ctx, s); err != nil {
			if errors.Is(err, session.ErrDisconnected) || ctx.Err() != nil {
				return v, nil, err
			}
			d.heldOff(err)
		}
		v, _, err = d.own()
		return v, there, err
	}
	err = d.create(ctx, s, v)
	if !errors.Is(err, session.ErrExists) {
		return v, nil, err
	}
	// Another device took the vault over as this one's replacement. What this
	// device saves from now on goes into a vault of its own again.
	d.log.Warn("another device has taken over this device's vault, making a new one", "vault", v.id)
	d.event("notice", map[string]any{"text": "another device has taken over this device's saved data; the next backup is a new start"})
	if v, err = d.newVault(v.protected); err != nil {
		return v, nil, err
	}
	return v, nil, d.create(ctx, s, v)
}

// create makes the vault at the reader. Where the owner had set a passcode, the
// reader does not get the key, although it does not know the passcode either; of what
// opened the vault before, it has the slot that only the card's PIN opens again.
func (d *Daemon) create(ctx context.Context, s *session.Session, v opened) error {
	held, err := d.keys.VaultKey()
	if err != nil {
		return err
	}
	anew := keyring.Bundle{Keys: held.Keys, Recipients: maps.Clone(held.Recipients), Epoch: held.Epoch}
	maps.DeleteFunc(anew.Recipients, func(kind string, _ []byte) bool { return kind != keyring.SlotCardPIN })
	slots, err := firstSlots(v, anew)
	if err != nil {
		return err
	}
	if err := s.CreateVault(ctx, session.NewVault{ID: v.id, Slots: slots}); err != nil {
		return err
	}
	if len(anew.Recipients) == len(held.Recipients) && len(slots) > 0 {
		return nil
	}
	d.log.Warn("the vault is new at the reader, and lacks what opened it before", "vault", v.id)
	d.event("notice", map[string]any{"text": "the reader's copy is new: set the passcode and the recovery code again"})
	held.Recipients, held.Next, held.NextSince = anew.Recipients, nil, 0
	return d.keys.SetVaultKey(held)
}

// firstSlots are those of a vault that the reader does not have.
func firstSlots(v opened, b keyring.Bundle) ([]session.Slot, error) {
	var slots []session.Slot
	if !v.protected {
		plain, err := b.EncodeOpen()
		return append(slots, session.Slot{Kind: keyring.SlotReader, Data: plain}), err
	}
	for _, kind := range b.Kinds() {
		sealed, err := b.SealSlot(v.id, kind)
		if err != nil {
			return nil, err
		}
		slots = append(slots, session.Slot{Kind: kind, Data: sealed})
	}
	return slots, nil
}

// newVault makes a vault key, and writes it down before anything is sealed
// with it.
func (d *Daemon) newVault(protected bool) (opened, error) {
	key, err := vault.NewKey()
	if err != nil {
		return opened{}, err
	}
	held := keyring.VaultKey{
		Vault: vault.NewVaultID(), Bundle: keyring.Bundle{Keys: [][]byte{key.Bytes()}}, Protected: protected,
	}
	return opened{id: held.Vault, key: key, protected: protected}, d.keys.SetVaultKey(held)
}

// find asks the reader for its vaults (step 612): the one with that id if this
// device owns it, and those that it might take over.
func (d *Daemon) find(ctx context.Context, s *session.Session, id vault.VaultID) (mine *session.Vault, others []session.Vault, err error) {
	mine, others, err = d.sortVaults(ctx, s, id)
	if err != nil || mine != nil || id.IsZero() || d.keeper.card().Status != session.CardOtherVault {
		return mine, others, err
	}
	// The card may have come from another reader with this device's vault. To know
	// its id is to be its owner. The key is here: the reader's word for it is not taken.
	_, err = s.ClaimVault(ctx, id)
	if errors.Is(err, session.ErrNoVault) || errors.Is(err, session.ErrNotAllowed) {
		return nil, others, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return d.sortVaults(ctx, s, id)
}

func (d *Daemon) sortVaults(ctx context.Context, s *session.Session, id vault.VaultID) (mine *session.Vault, others []session.Vault, err error) {
	all, err := s.Vaults(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, v := range all {
		switch {
		case v.Mine && v.ID == id:
			mine = &v
			d.damage.set(v.Damaged)
			if v.Head != nil && !v.Head.CriticalOnly {
				d.met(s, v.ID, vault.SnapshotID(v.Head.ID))
			}
		case v.ID == id: // was this device's, and is another's now
		case v.Head != nil && (opensByItself(v) || needsPasscode(v)):
			others = append(others, v)
		}
	}
	return mine, others, nil
}

// opensByItself tells a vault whose owner chose no passcode.
func opensByItself(v session.Vault) bool { return hasSlot(v, keyring.SlotReader) }

// protected tells a vault whose owner chose a passcode, of either kind.
func protected(v session.Vault) bool {
	return hasSlot(v, keyring.SlotPasscode) || hasSlot(v, keyring.SlotCardPIN)
}

// needsPasscode tells a vault that a passcode or a recovery code opens (step 616).
func needsPasscode(v session.Vault) bool {
	return !opensByItself(v) && (protected(v) || hasSlot(v, keyring.SlotRecovery))
}

func hasSlot(v session.Vault, kind string) bool {
	for _, s := range v.Slots {
		if s.Kind == kind {
			return true
		}
	}
	return false
}

// head is the newest data set at the reader of the vault; nil when it holds
// none. It is taken from the device's own memory where that is up to date.
func (d *Daemon) head(ctx context.Context, s *session.Session, v opened) (*vault.DataSet, error) {
	mine, _, err := d.find(ctx, s, v.id)
	if err != nil {
		return nil, err
	}
	return d.headOf(ctx, s, v, mine)
}

// headOf is head, of a vault that the reader has told of already; nil for none. What is in
// memory and not proven is loaded again: by now the reader may have what it lacked.
func (d *Daemon) headOf(ctx context.Context, s source, v opened, mine *session.Vault) (*vault.DataSet, error) {
	if mine == nil || mine.Head == nil {
		return nil, nil
	}
	id := vault.SnapshotID(mine.Head.ID)
	if mine.Head.CriticalOnly {
		ds, err := d.load(ctx, s, v, *mine.Head)
		if err != nil || !ds.Complete() {
			return ds, err
		}
	}
	ours := d.book.current()
	if ours != nil && ours.Header().Snapshot != id {
		ours = nil
	}
	if ours != nil && ours.Unproven() == 0 {
		return ours, nil
	}
	prepared, err := d.state.dataSet(keyPrepared)
	if err != nil {
		d.log.Warn("cannot read the prepared data set", "error", err)
	} else if prepared != nil && prepared.Header().Snapshot == id {
		var t turn
		if _, err := d.state.load(keyTurn, &t); err != nil {
			return nil, err
		}
		return prepared, d.adopt(prepared, t)
	}
	ds, err := d.load(ctx, s, v, *mine.Head)
	if err == nil && ours != nil && ds.Unproven() >= ours.Unproven() {
		return ours, nil
	}
	return ds, err
}

// follow returns the newest data set at the reader, nil for none, and makes it
// the reference when the device knows none or an older one.
func (d *Daemon) follow(ctx context.Context, s *session.Session, v opened) (*vault.DataSet, error) {
	mine, _, err := d.find(ctx, s, v.id)
	if err != nil {
		return nil, err
	}
	return d.followOf(ctx, s, v, mine)
}

// followOf is follow, of a vault that the reader has told of already; nil for none.
func (d *Daemon) followOf(ctx context.Context, s source, v opened, mine *session.Vault) (*vault.DataSet, error) {
	base, err := d.headOf(ctx, s, v, mine)
	if err != nil || base == nil {
		return nil, err
	}
	if !base.Complete() {
		return base, nil // no reference: it does not tell of all that there is to be
	}
	ours := d.book.current()
	better := ours != nil && ours.Header().Snapshot == base.Header().Snapshot && base.Unproven() < ours.Unproven()
	if ours != nil && ours.Header().Seq >= base.Header().Seq && !better {
		if ours.Header().Seq > base.Header().Seq {
			d.log.Warn("the reader's newest snapshot is older than the newest that this device knows",
				"reader", base.Header().Seq, "device", ours.Header().Seq)
		}
		return base, nil
	}
	report, _, _ := d.findings.snapshot()
	return base, d.adopt(base, turn{Lost: d.book.lostBy(base, report.Findings, nil)})
}

// load reads a data set from the reader: of one that came on a card, the critical
// part, unless it has no other, or the service books.
func (d *Daemon) load(ctx context.Context, s source, v opened, snap session.Snapshot) (*vault.DataSet, error) {
	id := vault.SnapshotID(snap.ID)
	as := vault.LoadDataSet
	switch {
	case snap.BooksOnly:
		as = vault.LoadBooks
	case snap.CriticalOnly:
		h, err := vault.OpenHeader(v.key, v.id, id, snap.Header)
		if err != nil {
			return nil, err
		}
		if len(h.Index[vault.Bulk]) > 0 {
			as = vault.LoadCritical
		}
	}
	return d.read(s, v, id, false, func(fetch vault.Fetch) (*vault.DataSet, error) {
		return as(ctx, v.key, v.id, id, snap.Header, fetch)
	})
}

// loadFirst reads the critical part alone. The rest is to be loaded later, and takes no
// byte of this once more.
func (d *Daemon) loadFirst(ctx context.Context, s source, v opened, snap session.Snapshot) (*vault.DataSet, error) {
	id := vault.SnapshotID(snap.ID)
	return d.read(s, v, id, true, func(fetch vault.Fetch) (*vault.DataSet, error) {
		return vault.LoadCritical(ctx, v.key, v.id, id, snap.Header, fetch)
	})
}

// fetchFrom gets sealed blobs over the session. The reader keeps the snapshot that is named,
// for as long as a restore of it may take; zero names none.
func fetchFrom(s *session.Session, id vault.VaultID, snapshot vault.SnapshotID) vault.Fetch {
	return func(ctx context.Context, ids []vault.BlobID, got func(vault.BlobID, []byte) error) error {
		q := session.BlobQuery{Vault: id, IDs: plain(ids), Snapshot: snapshot}
		return interrupted(s.Get(ctx, q, func(b session.Blob) error { return got(b.ID, b.Data) }))
	}
}

// interrupted makes the end of a session one of a restore that can be gone on with, and
// tells blobs that are damaged or missing at the reader.
func interrupted(err error) error {
	switch {
	case errors.Is(err, session.ErrDisconnected):
		return fmt.Errorf("%w: %w", reprovision.ErrInterrupted, err)
	case errors.Is(err, session.ErrDamaged):
		return fmt.Errorf("%w: %w", vault.ErrDamaged, err)
	case errors.Is(err, session.ErrNoData):
		return fmt.Errorf("%w: %w", vault.ErrNoBlob, err)
	}
	return err
}

// adopt makes a data set the reference from now on.
func (d *Daemon) adopt(ds *vault.DataSet, t turn) error {
	defer d.maybeDrill()
	return d.book.adopt(ds, map[string][]byte{keyPrepared: nil, keyTurn: nil, keyPending: nil}, t)
}

// claim takes over the vault of another device of this owner (paragraph 38): by what
// the owner entered, or without where they chose no passcode. The key is rotated as
// soon as there is time: then the earlier device's opens nothing any more.
func (d *Daemon) claim(ctx context.Context, s *session.Session, from session.Vault, by *entry) (opened, error) {
	slots, err := s.ClaimVault(ctx, from.ID)
	if err != nil {
		return opened{}, err
	}
	for _, slot := range slots {
		var held keyring.Bundle
		switch {
		case by == nil && slot.Kind == keyring.SlotReader:
			held, err = keyring.DecodeBundle(slot.Data)
		case by != nil && slot.Kind == by.kind:
			held, err = by.key.Open(from.ID, slot.Data)
		default:
			continue
		}
		if err != nil {
			return opened{}, fmt.Errorf("cannot use the key that the reader gave: %w", err)
		}
		if by == nil && hasSlot(from, keyring.SlotRecovery) {
			d.event("notice", map[string]any{"text": "the recovery code of the earlier device opens these data no more: make a new one"})
		}
		return d.takeUp(claimed(from, by, held))
	}
	return opened{}, fmt.Errorf("%w: the vault cannot be opened without its passcode", busapi.ErrInputNeeded)
}

// claimed is the device slot for what was taken over. What a secret has opened stays
// protected, whatever slots the reader lists: it would get the keys otherwise.
func claimed(from session.Vault, by *entry, b keyring.Bundle) keyring.VaultKey {
	return keyring.VaultKey{Vault: from.ID, Bundle: b, Protected: by != nil || protected(from)}
}

// takeUp makes a vault this device's, and plans its first rotation. One that can have no
// more keys is taken up all the same: the reader has handed it over, and the data are the
// owner's.
func (d *Daemon) takeUp(held keyring.VaultKey) (opened, error) {
	next, err := rotated(held.Bundle)
	if errors.Is(err, errNoRotation) {
		return d.takeUpAsIs(held)
	}
	if err != nil {
		return opened{}, err
	}
	held.Next, held.NextProtected, held.NextWraps = &next, held.Protected, true
	v, err := open(held)
	if err != nil {
		return opened{}, err
	}
	return v, d.plan(&held)
}

func (d *Daemon) takeUpAsIs(held keyring.VaultKey) (opened, error) {
	v, err := open(held)
	if err != nil {
		return opened{}, err
	}
	d.log.Error("cannot rotate the key of the vault that was taken over", "vault", v.id, "error", errNoRotation)
	d.event("notice", map[string]any{
		"text": "the saved data have had too many keys for another: an earlier phone, passcode or recovery code still opens them, until they are saved anew",
	})
	return v, d.keys.SetVaultKey(held)
}
