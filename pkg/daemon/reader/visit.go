package reader

import (
	"context"
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// visit is one transaction in which the card is compared with the store.
type visit struct {
	*mirror
	medium  card.Medium
	objects *card.Store

	state session.CardState
	on    vault.VaultID
	facts cardFacts
}

func (v *visit) sync(ctx context.Context, asking vault.VaultID) error {
	layout, err := v.medium.Layout(ctx)
	if err != nil {
		return err
	}
	v.facts = cardFacts{profile: layout.Profile, identity: v.medium.Identity(), capacity: int64(layout.Capacity())}
	if !layout.Formatted {
		v.state = session.CardState{Status: session.CardUnformatted, Detail: "the card was never prepared"}
		return nil
	}
	object, err := v.objects.Load(ctx)
	switch {
	case errors.Is(err, card.ErrBlank):
		return v.begin(ctx, asking)
	case err != nil:
		return err
	}
	return v.compare(ctx, object)
}

// begin gives a blank card to the vault that asks; when none does, to the only
// one that there is and reads.
func (v *visit) begin(ctx context.Context, asking vault.VaultID) error {
	v.facts.blank = true
	v.state = session.CardState{Status: session.CardOK, Detail: "blank"}
	if asking.IsZero() {
		records, err := readable(v.store, v.log)
		if err != nil || len(records) != 1 {
			return err
		}
		asking = records[0].ID
	}
	return v.write(ctx, asking, 1)
}

// compare decides by the vault's generation, not by any clock.
func (v *visit) compare(ctx context.Context, object card.Object) error {
	p, err := vault.UnmarshalPortable(object.Data)
	if err != nil {
		return fmt.Errorf("cannot read what the card holds: %w", err)
	}
	v.on, v.facts.used = p.Record.ID, int64(len(object.Data))
	v.state = session.CardState{Status: session.CardOK, Generation: object.Generation}
	list, err := v.store.Snapshots(v.on)
	if errors.Is(err, vault.ErrNoVault) {
		v.state = session.CardState{
			Status: session.CardOtherVault, Generation: object.Generation,
			Detail: "the card holds data that this reader does not know",
		}
		return nil
	}
	if err != nil && !errors.Is(err, vault.ErrDamaged) {
		return err
	}
	return v.decide(ctx, p, list, object.Generation)
}

func (v *visit) decide(ctx context.Context, p vault.Portable, list []vault.SnapshotRecord, generation uint64) error {
	switch {
	case len(list) > 0 && p.Snapshot.Snapshot == list[0].Snapshot:
		return nil
	case len(list) > 0 && p.Snapshot.Seq < list[0].Seq:
		return v.write(ctx, v.on, generation+1)
	}
	v.state = session.CardState{
		Status: session.CardStale, Generation: generation,
		Detail: "the card holds a snapshot that this reader does not have; it was written at another reader",
	}
	return nil
}

// write puts the newest snapshot's critical part on the card.
func (v *visit) write(ctx context.Context, id vault.VaultID, generation uint64) error {
	record, err := v.store.Vault(id)
	if err != nil {
		return err
	}
	list, err := v.store.Snapshots(id)
	if len(list) == 0 {
		return err
	}
	p, err := vault.NewPortable(record, list[0], func(b vault.BlobID) ([]byte, error) { return v.store.Get(id, b) })
	if err != nil {
		return err
	}
	data, err := p.Marshal()
	if err != nil {
		return err
	}
	v.on = id
	if err := v.objects.Commit(ctx, generation, data); err != nil {
		return err
	}
	v.facts.used, v.facts.blank = int64(len(data)), false
	v.state = session.CardState{Status: session.CardOK, Generation: generation}
	return nil
}
