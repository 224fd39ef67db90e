package reader

import (
	"bytes"
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
	pulls   uint64         // before it began
	copies  vault.Portable // what the card holds
	aside   bool           // there are other cards: a blank one is given to nobody
	sight
}

func (v *visit) sync(ctx context.Context, asking vault.VaultID) error {
	layout, err := v.medium.Layout(ctx)
	if err != nil {
		return err
	}
	v.facts = cardFacts{profile: layout.Profile, identity: v.medium.Identity(), capacity: int64(layout.Capacity())}
	if v.facts.abilities, err = abilitiesOf(ctx, v.medium); err != nil {
		return err
	}
	if !layout.Formatted {
		v.state = session.CardState{Status: session.CardUnformatted, Detail: "the card was never prepared"}
		return nil
	}
	if mark, ok := v.known.card(v.facts.identity); ok {
		v.facts.repaired = mark.Repaired
	}
	object, err := v.load(ctx)
	switch {
	case errors.Is(err, card.ErrBlank):
		return v.begin(ctx, asking)
	case errors.Is(err, card.ErrDamaged):
		return v.repair(ctx, err)
	case err != nil:
		return err
	}
	return v.compare(ctx, object, asking)
}

// begin gives a blank card to the vault that it was to be written for before; else to
// the one that asks; when none does, to the only one that there is and reads.
func (v *visit) begin(ctx context.Context, asking vault.VaultID) error {
	v.facts.blank = true
	v.state = session.CardState{Status: session.CardOK, Detail: "blank"}
	if id, ok := v.knownVault(); ok {
		asking = id
	} else if v.aside {
		return nil
	}
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
func (v *visit) compare(ctx context.Context, object card.Object, asking vault.VaultID) error {
	v.traces = object.Traces
	if what, id := emptyFor(object.Data); what != "" {
		return v.withoutData(ctx, what, id, object.Generation)
	}
	p, err := vault.UnmarshalPortable(object.Data)
	if err != nil {
		return fmt.Errorf("cannot read what the card holds: %w", err)
	}
	v.copies = p
	v.on, v.facts.used, v.facts.authorization = p.Record.ID, int64(len(object.Data)), string(p.Record.Authorization)
	v.state = session.CardState{Status: session.CardOK, Generation: object.Generation}
	list, err := v.store.Snapshots(v.on)
	if v.wiped(p.Record, errors.Is(err, vault.ErrNoVault)) {
		v.log.Warn("erasing a card whose data were deleted while it was out", "vault", v.on)
		return v.erase(ctx, v.on, object.Generation)
	}
	if errors.Is(err, vault.ErrNoVault) {
		v.on, v.offer = vault.VaultID{}, &p
		v.state = session.CardState{
			Status: session.CardOtherVault, Generation: object.Generation,
			Detail: "the card holds data that this reader does not know; a device of its owner may take it up",
		}
		return nil
	}
	if err != nil && !errors.Is(err, vault.ErrDamaged) {
		return err
	}
	// What is written next is newer than a version, too, that has worn since.
	if err := v.decide(ctx, p, list, max(object.Generation, object.Lost), asking.IsZero()); err != nil || v.state.Status != session.CardOK && v.state.Status != session.CardFull {
		return err
	}
	return v.own(v.on, v.state.Generation)
}

// decide brings up to date what is older: the card or the store. A card that was
// just put in and is older is reported before it is written.
func (v *visit) decide(ctx context.Context, p vault.Portable, list []vault.SnapshotRecord, generation uint64, inserted bool) error {
	v.state.Generation = generation
	record, err := v.store.Vault(v.on)
	if err != nil {
		return err
	}
	newer := len(list) == 0 || p.Snapshot.Seq > list[0].Seq
	if (newer || before(record, p, list)) && !headOf(v.on, p.Snapshot).VouchedBy(v.keyOf(record.Owner), p.Snapshot.Voucher) {
		v.foreign(p, generation)
		return nil
	}
	if record, err = v.learn(p.Record); err != nil {
		return err
	}
	if err := v.heal(record); err != nil {
		return err
	}
	if newer {
		return v.adopt(p)
	}
	switch same := p.Snapshot.Snapshot == list[0].Snapshot; {
	case !same && p.Snapshot.Seq == list[0].Seq:
		v.state.Status = session.CardStale
		v.state.Detail = fmt.Sprintf("the card holds another snapshot %d than this reader, written at another one; the next backup decides", p.Snapshot.Seq)
		return nil
	case renews(record, p.Record), v.unfinished():
		return v.renew(ctx, generation)
	case same && (record.Authorization == nil || bytes.Equal(record.Authorization, p.Record.Authorization)):
		return v.same(ctx, p, list[0], generation)
	case same:
		return v.write(ctx, v.on, generation+1)
	}
	if inserted {
		v.state.Status = session.CardStale
		v.state.Detail = fmt.Sprintf("the card is older: it holds snapshot %d, the reader %d; it is being written", p.Snapshot.Seq, list[0].Seq)
		v.log.Info("the card is older than the store", "card", p.Snapshot.Seq, "store", list[0].Seq)
		v.note(v.pulls, v.sight)
	}
	return v.write(ctx, v.on, generation+1)
}

// same looks at a card that has the newest snapshot: all of it that is for the card, or
// the service books alone.
func (v *visit) same(ctx context.Context, p vault.Portable, head vault.SnapshotRecord, generation uint64) error {
	v.facts.needed, v.facts.elsewhere, v.facts.classes = v.facts.used, bulk(head, p), classesOf(p)
	if !p.BooksOnly() || head.BooksOnly() {
		return nil
	}
	_, data, err := v.collect(v.on)
	if err != nil {
		return err
	}
	if len(data) <= int(v.facts.capacity) {
		return v.write(ctx, v.on, generation+1)
	}
	v.partly(len(data), head.Seq, generation)
	return nil
}

// adopt takes up what was written to the card at another reader. Where the store
// cannot, the card is as good as before.
func (v *visit) adopt(p vault.Portable) error {
	err := v.store.Adopt(p)
	if err != nil {
		v.log.Error("cannot take up what the card holds", "vault", p.Record.ID, "error", err)
		v.state.Status = session.CardStale
		v.state.Detail = fmt.Sprintf("the card holds snapshot %d, written at another reader, and it cannot be taken up: %v", p.Snapshot.Seq, err)
		return nil
	}
	v.facts.classes = classesOf(p)
	v.log.Info("took up what was written to the card at another reader", "vault", p.Record.ID, "seq", p.Snapshot.Seq)
	return nil
}

// bulk is the number of bytes of a snapshot that do not go to the card.
func bulk(s vault.SnapshotRecord, p vault.Portable) int64 {
	n := s.Bytes
	for _, b := range p.Blobs {
		n -= int64(len(b.Sealed))
	}
	return max(n, 0)
}

// full says what does not fit. What goes on the card is decided by class: service
// books and keys, else service books alone, each whole or not at all, for the blobs of
// a class are of use together only; else the card keeps what it held.
func (v *visit) full(err error, seq, generation uint64) error {
	var full *card.FullError
	if !errors.As(err, &full) {
		return err
	}
	held := nothingYet
	if !v.facts.blank {
		held = fmt.Sprintf("neither is on the card, which keeps an older one, generation %d", generation)
	}
	v.facts.classes = ""
	v.lacking(full.Need, full.Have, seq, generation, held)
	return nil
}

const nothingYet = "neither is on the card, which holds nothing yet"

// partly says that the keys did not fit.
func (v *visit) partly(need int, seq, generation uint64) {
	v.facts.classes = booksAlone
	v.lacking(need, int(v.facts.capacity), seq, generation, "the service books alone are on it, the keys are not")
}

func (v *visit) lacking(need, have int, seq, generation uint64, held string) {
	have = max(have, 0)
	v.facts.leftOut = int64(max(need-have, 1))
	v.log.Warn("the card is too small", "snapshot", seq, "need", need, "have", have)
	v.state = session.CardState{
		Status: session.CardFull, Need: uint64(need), Have: uint64(have), Generation: generation,
		Detail: fmt.Sprintf("service books and keys of snapshot %d take %d bytes and the card has room for %d: %d are too many; %s. "+
			"The reader's store has all", seq, need, have, need-have, held),
	}
}

// write puts the newest snapshot's critical part on the card.
func (v *visit) write(ctx context.Context, id vault.VaultID, generation uint64) error {
	p, data, err := v.collect(id)
	if err != nil || data == nil {
		return err
	}
	if err := v.own(id, generation); err != nil {
		return err
	}
	return v.put(p, data, generation-1, func(data []byte) (uint64, error) {
		return generation, v.objects.Commit(ctx, generation, data)
	})
}

// put has what goes on the card written: all, or, where that does not fit, the service
// books. held is the generation that the card keeps if they do not fit either.
func (v *visit) put(p vault.Portable, data []byte, held uint64, write func([]byte) (uint64, error)) error {
	generation, err := write(data)
	if err == nil {
		v.wrote(p, data, generation)
		return nil
	}
	books, ok := p.Books()
	if !errors.Is(err, card.ErrFull) || !ok {
		return v.full(err, p.Snapshot.Seq, held)
	}
	part, merr := books.Marshal()
	if merr != nil {
		return merr
	}
	generation, second := write(part)
	if errors.Is(second, card.ErrFull) {
		return v.full(err, p.Snapshot.Seq, held)
	}
	if second != nil {
		return second
	}
	v.wrote(books, part, generation)
	v.partly(len(data), p.Snapshot.Seq, generation)
	return nil
}

// collect makes what goes on the card for a vault; no data if it has no snapshot. A blob that
// turns out to be damaged is healed from the card, if that has it.
func (v *visit) collect(id vault.VaultID) (p vault.Portable, data []byte, err error) {
	for range vault.MaxPortableBlobs {
		if p, data, err = v.collectOnce(id); err == nil || !v.healFor(id, err) {
			break
		}
	}
	return p, data, err
}

func (v *visit) collectOnce(id vault.VaultID) (p vault.Portable, data []byte, err error) {
	record, err := v.store.Vault(id)
	if err != nil {
		return p, nil, err
	}
	list, err := v.store.Snapshots(id)
	if len(list) == 0 {
		return p, nil, err
	}
	p, err = vault.NewPortable(record, list[0], func(b vault.BlobID) ([]byte, error) { return v.store.Get(id, b) })
	if err != nil {
		return p, nil, err
	}
	if data, err = p.Marshal(); err != nil {
		return p, nil, err
	}
	v.on, v.facts.needed = id, int64(len(data))
	v.facts.elsewhere = bulk(list[0], p)
	return p, data, nil
}

// What a card may hold, by class.
const (
	booksAndKeys = "service-books keys"
	booksAlone   = "service-books"
)

func classesOf(p vault.Portable) string {
	if p.BooksOnly() {
		return booksAlone
	}
	return booksAndKeys
}

// wrote takes note of what is on the card now.
func (v *visit) wrote(p vault.Portable, data []byte, generation uint64) {
	v.facts.used, v.facts.blank, v.facts.authorization = int64(len(data)), false, string(p.Record.Authorization)
	v.facts.classes = classesOf(p)
	v.state = session.CardState{Status: session.CardOK, Generation: generation}
}
