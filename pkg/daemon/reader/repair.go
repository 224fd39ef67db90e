package reader

import (
	"context"
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// load reads what the card holds. What does not verify is read twice: a bad contact is
// no damage.
func (v *visit) load(ctx context.Context) (card.Object, error) {
	object, err := v.objects.Load(ctx)
	if errors.Is(err, card.ErrDamaged) {
		object, err = v.objects.Load(ctx)
	}
	return object, err
}

// repair writes a card of which no version is whole any more: by wear, or because its
// first commit was cut. The store has what was on it. That is done to a card only that
// this reader knows, and only if nothing newer than what the store has was on it.
func (v *visit) repair(ctx context.Context, damage error) error {
	id, ok := v.knownVault()
	if !ok {
		return fmt.Errorf("%w; this reader does not know the card and leaves it as it is", damage)
	}
	mark, _ := v.known.card(v.facts.identity)
	report, err := v.objects.Verify(ctx)
	if err != nil {
		return err
	}
	for _, slot := range report.Slots {
		if slot.Generation > mark.Generation {
			return fmt.Errorf("%w; generation %d was written at another reader, which alone can repair it", damage, slot.Generation)
		}
	}
	p, data, err := v.collect(id)
	if err != nil || data == nil {
		return errors.Join(damage, err)
	}
	return v.rebuild(ctx, mark, p, data)
}

func (v *visit) rebuild(ctx context.Context, mark cardMark, p vault.Portable, data []byte) error {
	v.log.Warn("the card is damaged; its data are written anew", "card", v.facts.identity, "vault", p.Record.ID)
	v.state = session.CardState{Status: session.CardStale, Generation: mark.Generation, Detail: "the card is damaged: nothing on it is whole; its data are being written anew"}
	v.note(v.pulls, v.sight)
	var generation uint64
	err := v.put(p, data, mark.Generation, func(data []byte) (uint64, error) {
		made, err := v.objects.Repair(ctx, mark.Generation, data)
		generation = made
		return made, err
	})
	if err != nil || generation == 0 {
		return err
	}
	mark.Repaired, mark.Traces = v.now().Unix(), true
	v.facts.repaired, v.traces = mark.Repaired, true
	v.event("card", map[string]any{"state": "repaired", "vault": p.Record.ID.String(), "generation": int64(generation)})
	return v.know(mark, generation)
}

// knownVault is the vault in the store that a card was last known to be of.
func (v *visit) knownVault() (vault.VaultID, bool) {
	mark, ok := v.known.card(v.facts.identity)
	if !ok {
		return vault.VaultID{}, false
	}
	id, err := vault.ParseVaultID(mark.Vault)
	if err == nil {
		_, err = v.store.Vault(id)
	}
	return id, err == nil
}

// own takes note that a card is a vault's, and of the highest generation on it.
func (v *visit) own(id vault.VaultID, generation uint64) error {
	mark, _ := v.known.card(v.facts.identity)
	mark.Vault = id.String()
	return v.know(mark, generation)
}

// ownTraces takes note, too, that what is on the card is void.
func (v *visit) ownTraces(id vault.VaultID, generation uint64) error {
	mark, _ := v.known.card(v.facts.identity)
	mark.Vault, mark.Traces = id.String(), true
	return v.know(mark, generation)
}

// know takes note of whose the card is, before it is written and when it was read: a
// write that is cut off may leave nothing on the card that says so.
func (v *visit) know(mark cardMark, generation uint64) error {
	mark.Generation = max(mark.Generation, generation)
	return v.known.setCard(v.facts.identity, mark, v.now())
}
