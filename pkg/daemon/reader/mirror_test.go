package reader

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/cardtest"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

func (r *rig) initCard() {
	r.Helper()
	_, err := r.d.CardInit(r.Context(), busapi.CardChoice{})
	r.must(err)
}

func (r *rig) wantCard(got session.CardState, want session.CardStatus) {
	r.Helper()
	if got.Status != want {
		r.Fatalf("the card is %+v, want %s", got, want)
	}
}

// insert is what follows when a card is put in.
func (r *rig) insert() session.CardState {
	r.d.mirror.sync(r.Context(), vault.VaultID{})
	s, _ := r.d.mirror.look()
	return s
}

// cutting lends a card that is pulled at a chosen write, in whichever transaction that is,
// and stays out.
type cutting struct {
	card.Reader
	at, torn int
	writes   int // so far
	cut      bool
}

func (c *cutting) WithCard(ctx context.Context, fn func(context.Context, card.Medium) error) error {
	if c.cut {
		return card.ErrNoCard
	}
	return c.Reader.WithCard(ctx, func(ctx context.Context, m card.Medium) error {
		f := &cardtest.Faulty{Medium: m, CutAt: c.at - c.writes, Torn: c.torn}
		err := fn(ctx, f)
		c.writes += f.Writes
		c.cut = c.writes >= c.at
		return err
	})
}

// TestPulledWhileWriting pulls the card at every write of an update. The backup
// is safe all the same, the card still has the version before, and it is
// brought up to date once it is back.
func TestPulledWhileWriting(t *testing.T) {
	for _, torn := range []int{0, 7} {
		for at := 1; pullAt(t, at, torn); at++ {
			if at > 100 {
				t.Fatal("no end of writes")
			}
		}
	}
}

func pullAt(t *testing.T, at, torn int) (cut bool) {
	t.Helper()
	r := newRig(t)
	phone := r.pair("phone")
	id := r.create(phone, 1)
	r.initCard()
	r.wantCard(r.backUp(phone, id, blob(1, 3000)), session.CardOK)
	before := r.onCard(id)
	whole := r.d.mirror.reader
	pulled := &cutting{Reader: whole, at: at, torn: torn}
	r.d.mirror.reader = pulled
	state := r.backUp(phone, id, blob(2, 3000))
	r.d.mirror.reader = whole
	if !pulled.cut {
		r.wantCard(state, session.CardOK)
		return false
	}
	r.wantCard(state, session.CardNone)
	if _, facts := r.d.mirror.look(); facts != (cardFacts{}) || r.d.mirror.holds(id) {
		t.Errorf("write %d: a card that is gone has %+v", at, facts)
	}
	if got := r.onCard(id); got.Snapshot != before.Snapshot {
		t.Errorf("write %d: the card holds %s, want the version before", at, got.Snapshot)
	}
	r.wantCard(r.insert(), session.CardOK)
	if got := r.onCard(id); got.Seq != before.Seq+1 || !r.d.mirror.holds(id) {
		t.Errorf("write %d: the card was left at generation %d", at, got.Seq)
	}
	return true
}

// late has the card pulled when a visit is over and its outcome not noted yet.
type late struct {
	card.Reader
	notify func(card.Event)
}

func (l late) WithCard(ctx context.Context, fn func(context.Context, card.Medium) error) error {
	defer l.notify(card.Event{Kind: card.EventRemoved})
	return l.Reader.WithCard(ctx, fn)
}

func TestPulledAfterLook(t *testing.T) {
	r := newRig(t)
	phone := r.pair("phone")
	id := r.create(phone, 1)
	r.initCard()
	whole := r.d.mirror.reader
	r.d.mirror.reader = late{whole, r.d.mirror.notice}
	r.wantCard(r.backUp(phone, id, blob(1, 10)), session.CardNone)
	if info := r.d.card(); info.State != session.CardNone.String() || r.d.mirror.holds(id) {
		t.Errorf("a card that is gone is %+v", info)
	}
	r.d.mirror.reader = whole
	r.wantCard(r.insert(), session.CardOK)
}

// TestCardOfOtherVault shows that the card stays with the vault that it was
// first written for, and is never written by a reader that does not know that.
func TestCardOfOtherVault(t *testing.T) {
	card := cardAt(filepath.Join(t.TempDir(), "card.img"), 64<<10)
	r := newRigWith(t, card)
	phone, tablet := r.pair("phone"), r.pair("tablet")
	a, b := r.create(phone, 1), r.create(tablet, 2)
	r.initCard()
	r.wantCard(r.backUp(phone, a, blob(1, 10)), session.CardOK)
	r.wantCard(r.backUp(tablet, b, blob(1, 10)), session.CardNone) // not a card of its own
	r.wantCard(r.backUp(phone, a, blob(2, 10)), session.CardOK)
	err := r.d.Get(t.Context(), tablet, session.BlobQuery{Vault: b, FromCard: true, IDs: []session.ID{blob(1, 10).ID}}, nil)
	r.want(err, session.ErrCard)

	other := newRigWith(t, card)
	watch := other.pair("watch")
	c := other.create(watch, 3)
	other.wantCard(other.insert(), session.CardOtherVault)
	other.wantCard(other.backUp(watch, c, blob(1, 10)), session.CardOtherVault)
	if got := r.onCard(a); got.Seq != 2 {
		t.Errorf("the card holds generation %d", got.Seq)
	}
}

// twoReaders has a phone back up to two readers, the second of which has a card:
// there the vault is one generation further.
func twoReaders(t *testing.T) (home, away *rig, phone session.Peer, id vault.VaultID) {
	t.Helper()
	card := cardAt(filepath.Join(t.TempDir(), "card.img"), 64<<10)
	away, home = newRigWith(t, card), newRigWith(t, card)
	away.pair("phone")
	device := slices.Collect(maps.Values(away.ids))[0]
	for _, r := range []*rig{away, home} {
		phone = r.admit(device, "phone")
		id = r.create(phone, 1, keyring.SlotReader)
		r.backUp(phone, id, blob(1, 10))
	}
	away.initCard()
	owner, err := away.d.store.Vault(id)
	away.must(err)
	away.wantCard(away.backUp(session.Peer{ID: owner.Owner}, id, blob(4, 10)), session.CardOK)
	return home, away, phone, id
}

// TestNewerCard brings back a card that was written at another reader, with a
// newer snapshot than this one has: it is taken up, and gone on with.
func TestNewerCard(t *testing.T) {
	home, _, phone, id := twoReaders(t)
	home.wantCard(home.insert(), session.CardOK)
	head := home.vaults(phone)[id]
	if head.Head.Seq != 2 || !head.Head.CriticalOnly || !head.OnCard || !head.Mine {
		t.Fatalf("the phone is told of %+v", head)
	}
	var got []byte
	home.must(home.d.Get(t.Context(), phone, session.BlobQuery{Vault: id, IDs: []session.ID{blob(4, 10).ID}}, func(b session.Blob) error {
		got = b.Data
		return nil
	}))
	if string(got) != string(blob(4, 10).Data) {
		t.Errorf("the blob is %x", got)
	}
	home.wantCard(home.backUp(phone, id, blob(3, 10)), session.CardOK)
	if got := home.onCard(id); got.Seq != 3 {
		t.Errorf("the card holds generation %d", got.Seq)
	}
}

// TestAsNewCard puts in a card that holds another snapshot of the same generation:
// it is left as it is until there is a newer one.
func TestAsNewCard(t *testing.T) {
	home, _, phone, id := twoReaders(t)
	path := home.d.cfg.Card.Path
	home.must(os.Rename(path, path+".away"))
	changed := home.next(id)
	changed.Snapshot = session.ID{99}
	_, err := home.d.Commit(t.Context(), phone, changed)
	home.must(err)
	home.must(os.Rename(path+".away", path))
	before, err := os.ReadFile(path)
	home.must(err)
	home.wantCard(home.insert(), session.CardStale)
	after, err := os.ReadFile(path)
	home.must(err)
	if string(before) != string(after) {
		t.Error("a card that is as new was written over")
	}
	home.wantCard(home.backUp(phone, id, blob(3, 10)), session.CardOK)
}

// TestOlderCard puts in a card that missed a backup: that is said, then it is
// brought up to date.
func TestOlderCard(t *testing.T) {
	r := newRig(t)
	phone := r.pair("phone")
	id := r.create(phone, 1)
	r.initCard()
	r.backUp(phone, id, blob(1, 10))
	path := r.d.cfg.Card.Path
	r.must(os.Rename(path, path+".away"))
	r.d.mirror.notice(card.Event{Kind: card.EventRemoved})
	r.wantCard(r.backUp(phone, id, blob(2, 10)), session.CardNone)
	r.must(os.Rename(path+".away", path))
	var told []session.CardStatus
	changed := r.d.mirror.changed
	r.d.mirror.changed = func(s session.CardState) {
		told = append(told, s.Status)
		changed(s)
	}
	r.wantCard(r.insert(), session.CardOK)
	if len(told) != 2 || told[0] != session.CardStale || told[1] != session.CardOK {
		t.Errorf("told %v", told)
	}
}

// TestCardAtNewReader puts the card into a reader that has nothing: who pairs with
// that and claims the vault gets what the card holds. Until then nothing of it
// stays there.
func TestCardAtNewReader(t *testing.T) {
	_, away, _, id := twoReaders(t)
	fresh := newRigWith(t, away.d.cfg.Card)
	phone := fresh.pair("phone")
	fresh.wantCard(fresh.insert(), session.CardOtherVault)
	offer := fresh.vaults(phone)[id]
	if offer.Mine || !offer.OnCard || offer.Head == nil || offer.Head.Seq != 2 || !offer.Head.CriticalOnly {
		t.Fatalf("the phone is told of %+v", offer)
	}
	if records, err := fresh.d.store.Vaults(); err != nil || len(records) != 0 {
		t.Fatalf("the reader keeps %+v, %v", records, err)
	}
	slots, err := fresh.d.ClaimVault(t.Context(), phone, id)
	fresh.must(err)
	if len(slots) != 1 || slots[0].Kind != keyring.SlotReader || len(slots[0].Data) == 0 {
		t.Fatalf("slots %+v", slots)
	}
	got := fresh.vaults(phone)[id]
	if !got.Mine || !got.OnCard || got.Head.Seq != 2 {
		t.Fatalf("the phone is told of %+v", got)
	}
	fresh.wantCard(fresh.backUp(phone, id, blob(3, 10)), session.CardOK)
	if got := fresh.onCard(id); got.Seq != 3 {
		t.Errorf("the card holds generation %d", got.Seq)
	}
}

// TestCardAtBusyReader does not offer a card where several devices are paired. The
// one whose it is knows what to ask for.
func TestCardAtBusyReader(t *testing.T) {
	_, away, _, id := twoReaders(t)
	fresh := newRigWith(t, away.d.cfg.Card)
	phone, stranger := fresh.pair("phone"), fresh.pair("stranger")
	fresh.wantCard(fresh.insert(), session.CardOtherVault)
	if got := fresh.vaults(stranger); len(got) != 0 {
		t.Fatalf("a stranger is told of %+v", got)
	}
	_, err := fresh.d.ClaimVault(t.Context(), phone, id)
	fresh.must(err)
	if got := fresh.vaults(phone)[id]; !got.Mine || !got.OnCard {
		t.Fatalf("the phone is told of %+v", got)
	}
	_, err = fresh.d.ClaimVault(t.Context(), stranger, session.ID{1, 2, 3})
	fresh.want(err, session.ErrNoVault)
}

// TestLockedCardAtNewReader offers nothing of a vault that only its passcode opens.
func TestLockedCardAtNewReader(t *testing.T) {
	card := cardAt(filepath.Join(t.TempDir(), "card.img"), 64<<10)
	r, fresh := newRigWith(t, card), newRigWith(t, card)
	phone := r.pair("phone")
	id := r.create(phone, 1, "passcode")
	r.initCard()
	r.wantCard(r.backUp(phone, id, blob(1, 10)), session.CardOK)
	thief := fresh.pair("thief")
	fresh.wantCard(fresh.insert(), session.CardOtherVault)
	if got := fresh.vaults(thief); len(got) != 0 {
		t.Errorf("offered %+v", got)
	}
	_, err := fresh.d.ClaimVault(t.Context(), thief, id)
	fresh.want(err, session.ErrNoVault)
}

// TestFullCard backs up more than the card takes. The store has it, and the card
// keeps what it had.
func TestFullCard(t *testing.T) {
	r := newRigWith(t, cardAt(filepath.Join(t.TempDir(), "card.img"), 8<<10))
	phone := r.pair("phone")
	id := r.create(phone, 1)
	r.initCard()
	r.wantCard(r.backUp(phone, id, blob(1, 1000)), session.CardOK)
	state := r.backUp(phone, id, blob(2, 8000))
	r.wantCard(state, session.CardFull)
	if state.Need <= state.Have || state.Have == 0 || r.d.mirror.holds(id) {
		t.Errorf("state %+v", state)
	}
	if got := r.onCard(id); got.Seq != 1 {
		t.Errorf("the card holds generation %d", got.Seq)
	}
	if got := r.vaults(phone)[id]; got.Head.Seq != 2 || got.OnCard {
		t.Errorf("the phone is told of %+v", got)
	}
	r.wantCard(r.insert(), session.CardFull)
}

// booksAndKeys commits what does not fit on a card together: blob 1 is for the service
// books, the others for the keys.
func (r *rig) booksAndKeys(p session.Peer, id vault.VaultID, blobs ...session.Blob) session.CardState {
	r.Helper()
	_, err := r.d.Put(r.Context(), p, id, sequence(nil, blobs...))
	r.must(err)
	c := r.next(id, blobs...)
	c.Books = []session.ID{blob(1, 0).ID}
	state, err := r.d.Commit(r.Context(), p, c)
	r.must(err)
	return state
}

// TestBooksBeforeKeys backs up service books and keys that the card has no room for
// together: the service books go on it alone, which is said, and another reader takes
// them up.
func TestBooksBeforeKeys(t *testing.T) {
	r := newRigWith(t, cardAt(filepath.Join(t.TempDir(), "card.img"), 8<<10))
	phone := r.pair("phone")
	id := r.create(phone, 1, keyring.SlotReader)
	r.initCard()
	state := r.booksAndKeys(phone, id, blob(1, 1000), blob(2, 8000))
	r.wantBooks(state, id, 1)
	r.wantBooks(r.insert(), id, 1) // it is not written again
	generation := r.d.card().Generation
	if r.insert(); r.d.card().Generation != generation {
		t.Error("a card that has what fits was written again")
	}
	r.wantBooks(r.booksAndKeys(phone, id, blob(3, 10)), id, 2)

	away := newRigWith(t, r.d.cfg.Card)
	watch := away.pair("watch")
	away.wantCard(away.insert(), session.CardOtherVault)
	_, err := away.d.ClaimVault(t.Context(), watch, id)
	away.must(err)
	got := away.vaults(watch)[id]
	if !got.Head.BooksOnly || !got.Head.CriticalOnly || got.Head.Seq != 2 {
		t.Errorf("the other device is told of %+v", got.Head)
	}
	if info := away.d.card(); info.State != "ok" && info.State != "full" {
		t.Errorf("card %+v", info)
	}

	// What no part of fits leaves on the card what it has.
	state = r.booksAndKeys(phone, id, blob(4, 8000))
	r.wantBooks(state, id, 3)
	c := r.next(id)
	c.Books = append([]session.ID{blob(2, 0).ID}, c.Critical[0])
	slices.SortFunc(c.Books, func(a, b session.ID) int { return slices.Index(c.Critical, a) - slices.Index(c.Critical, b) })
	state, err = r.d.Commit(t.Context(), phone, c)
	r.must(err)
	r.wantCard(state, session.CardFull)
	if info := r.d.card(); len(info.Classes) != 0 || !strings.Contains(info.Detail, "neither is on the card") || r.onCard(id).Seq != 3 {
		t.Errorf("card %+v", info)
	}
}

// wantBooks wants the service books of a snapshot on the card, and nothing else.
func (r *rig) wantBooks(state session.CardState, id vault.VaultID, seq uint64) {
	r.Helper()
	r.wantCard(state, session.CardFull)
	p, err := r.d.mirror.read(r.Context(), id)
	r.must(err)
	if p.Snapshot.Seq != seq || !p.BooksOnly() || len(p.Blobs) != 1 {
		r.Fatalf("the card has %d blobs of snapshot %d", len(p.Blobs), p.Snapshot.Seq)
	}
	info := r.d.card()
	if !slices.Equal(info.Classes, []string{"service-books"}) || info.LeftOut != info.Needed-info.Capacity || info.LeftOut <= 0 ||
		!strings.Contains(info.Detail, "the keys are not") || r.d.mirror.holds(id) {
		r.Fatalf("card %+v", info)
	}
}

// TestBlankCardTwoVaults puts in a blank card where there are two vaults: the
// reader does not choose, the next backup does.
func TestBlankCardTwoVaults(t *testing.T) {
	r := newRig(t)
	phone, tablet := r.pair("phone"), r.pair("tablet")
	a, b := r.create(phone, 1), r.create(tablet, 2)
	r.wantCard(r.backUp(phone, a, blob(1, 10)), session.CardNone)
	r.wantCard(r.backUp(tablet, b, blob(1, 10)), session.CardNone)
	r.initCard()
	r.wantCard(r.insert(), session.CardOK)
	if info := r.d.card(); info.State != "blank" || r.d.mirror.holds(a) || r.d.mirror.holds(b) {
		t.Fatalf("card %+v", info)
	}
	r.wantCard(r.backUp(tablet, b, blob(2, 10)), session.CardOK)
	r.wantCard(r.d.mirror.stateFor(a), session.CardNone)
	if got := r.onCard(b); got.Seq != 2 {
		t.Errorf("the card holds generation %d", got.Seq)
	}
}
