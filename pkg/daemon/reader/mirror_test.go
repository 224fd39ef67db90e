package reader

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/cardtest"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

func (r *rig) initCard() {
	r.Helper()
	_, err := r.d.CardInit(r.Context(), false)
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

// cutting lends cards that are pulled at a chosen write.
type cutting struct {
	card.Reader
	at, torn int
	cut      bool
}

func (c *cutting) WithCard(ctx context.Context, fn func(context.Context, card.Medium) error) error {
	return c.Reader.WithCard(ctx, func(ctx context.Context, m card.Medium) error {
		f := &cardtest.Faulty{Medium: m, CutAt: c.at, Torn: c.torn}
		err := fn(ctx, f)
		c.cut = f.Writes >= c.at
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

// TestNewerCard brings back a card that was written at another reader, with a
// newer snapshot than this one has. It is left as it is.
func TestNewerCard(t *testing.T) {
	card := cardAt(filepath.Join(t.TempDir(), "card.img"), 64<<10)
	away, home := newRigWith(t, card), newRigWith(t, cardAt(card.Path, card.Size))
	var id vault.VaultID
	var phone session.Peer
	for _, r := range []*rig{home, away} { // the phone backs up to both
		phone = r.pair("phone")
		id = r.create(phone, 1)
		r.backUp(phone, id, blob(1, 10))
	}
	away.initCard()
	away.wantCard(away.backUp(phone, id, blob(2, 10)), session.CardOK)
	before, err := os.ReadFile(card.Path)
	home.must(err)
	home.wantCard(home.insert(), session.CardStale)
	owner, err := home.d.store.Vault(id)
	home.must(err)
	at := session.Peer{ID: owner.Owner}
	changed := home.next(id)
	changed.Snapshot = session.ID{99}
	state, err := home.d.Commit(t.Context(), at, changed) // as old as the card's, and another
	home.must(err)
	home.wantCard(state, session.CardStale)
	after, err := os.ReadFile(card.Path)
	home.must(err)
	if string(before) != string(after) {
		t.Error("a newer card was written over")
	}
	home.wantCard(home.backUp(at, id, blob(3, 10)), session.CardOK) // newer than the card's now
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
