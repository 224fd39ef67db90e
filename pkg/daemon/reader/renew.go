package reader

import (
	"bytes"
	"context"
	"slices"

	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// renews tells whether the card has other key slots than the store: it was out when
// they were changed. Nothing is opened again that may have been closed at another
// reader, where no epoch tells.
func renews(record, on vault.Record) bool {
	if slices.EqualFunc(on.Slots, record.Slots, equalSlots) || len(record.Slots) == 0 {
		return false
	}
	return record.Epoch > on.Epoch || !openToAll(record) || openToAll(on)
}

func equalSlots(a, b vault.Slot) bool { return a.Kind == b.Kind && bytes.Equal(a.Data, b.Data) }

func openToAll(r vault.Record) bool {
	return slices.ContainsFunc(r.Slots, func(s vault.Slot) bool { return s.Kind == keyring.SlotReader })
}

// unfinished tells whether this reader was to renew the card, and the card does not say that
// it was begun, or that it is through.
func (v *visit) unfinished() bool {
	mark, _ := v.known.card(v.facts.identity)
	return mark.Traces && !v.traces
}

// renew writes the newest snapshot to the card so that nothing will be left of what is on it:
// key slots that are void, and perhaps the key itself. What is to be written is collected
// first, and the card has what it had until that is on it; the overwriting comes after.
func (v *visit) renew(ctx context.Context, generation uint64) error {
	p, data, err := v.collect(v.on)
	if err != nil || data == nil {
		return err
	}
	if err := v.ownTraces(v.on, generation+1); err != nil {
		return err
	}
	v.facts.classes = ""
	err = v.put(p, data, generation, func(data []byte) (uint64, error) {
		return generation + 1, v.objects.Renew(ctx, generation+1, data)
	})
	if err == nil && v.facts.classes == "" { // neither fits: what is void goes all the same
		err = v.objects.Renew(ctx, generation+1, empty(voided, v.on))
		v.facts.blank, v.facts.used = true, 0
		v.lacking(int(v.state.Need), int(v.state.Have), p.Snapshot.Seq, generation+1, nothingYet)
	}
	v.traces = err == nil
	return err
}

// erase leaves nothing of a vault on the card: what is on it is void from now on, and once
// it is overwritten the card is prepared anew.
func (v *visit) erase(ctx context.Context, id vault.VaultID, generation uint64) error {
	if err := v.ownTraces(id, generation+1); err != nil {
		return err
	}
	if err := v.objects.Renew(ctx, generation+1, empty(erased, id)); err != nil {
		return err
	}
	v.deleted()
	return nil
}

// deleted is how a card is seen whose data were deleted.
func (v *visit) deleted() {
	facts := v.facts
	v.sight = sight{place: v.place, erased: true, state: session.CardState{Status: session.CardUnformatted, Detail: deletedDetail}}
	v.facts.identity, v.facts.profile = facts.identity, facts.profile
}

const deletedDetail = "its data were deleted after too many wrong passcodes"

// What lies on a card in the place of data: the words, then the vault's id.
const (
	erased = "RPER" // the data were deleted; the card is to be overwritten, and is nobody's then
	voided = "RPVO" // nothing of the vault fits on the card, and what was on it is void
)

func empty(what string, id vault.VaultID) []byte { return append([]byte(what), id[:]...) }

// emptyFor tells what lies on a card in the place of data; "" for data.
func emptyFor(data []byte) (what string, id vault.VaultID) {
	if len(data) != len(erased)+len(id) {
		return "", id
	}
	for _, what := range []string{erased, voided} {
		if bytes.HasPrefix(data, []byte(what)) {
			copy(id[:], data[len(what):])
			return what, id
		}
	}
	return "", id
}

// withoutData deals with a card that holds no data. Whose were deleted goes on being erased,
// wherever it was begun.
func (v *visit) withoutData(ctx context.Context, what string, id vault.VaultID, generation uint64) error {
	if what == erased {
		v.deleted()
		return nil
	}
	v.facts.blank = true
	v.state = session.CardState{Status: session.CardOK, Generation: generation}
	return v.write(ctx, id, generation+1)
}

// deleteFrom begins to erase a card, if it is the vault's, for the data in the store were
// deleted.
func (v *visit) deleteFrom(ctx context.Context, id vault.VaultID) error {
	object, err := v.load(ctx)
	if err != nil {
		return err
	}
	p, err := vault.UnmarshalPortable(object.Data)
	if err != nil || p.Record.ID != id {
		return nil // who looks at the card next sees what it is
	}
	return v.erase(ctx, id, max(object.Generation, object.Lost))
}
