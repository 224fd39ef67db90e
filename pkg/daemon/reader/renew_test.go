package reader

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/cardtest"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

func smallCard(t *testing.T) string { return filepath.Join(t.TempDir(), "card.img") }

// replaced changes the key slots while the card is out, and gives the record of before.
func (o *owned) replaced() (old vault.Record) {
	o.Helper()
	old, err := o.d.store.Vault(o.id)
	o.must(err)
	whole := o.d.mirror.reader
	o.d.mirror.reader = nil
	o.bundle.Keys = append([][]byte{o.draw()}, o.bundle.Keys...)
	strip, wrap := (&owned{rig: o.rig, bundle: keyring.Bundle{Keys: o.bundle.Keys[1:]}}).key().Outer(), o.key().Outer()
	change := o.change(nil)
	change.Strip, change.Wrap = [][]byte{strip[:]}, wrap[:]
	_, err = o.d.ChangeSlots(o.Context(), o.peer, change)
	o.must(err)
	o.d.mirror.reader = whole
	return old
}

// locked is a device with a passcode, and a card of 16 kB.
func locked(t *testing.T) *owned {
	t.Helper()
	r := newRigWith(t, cardAt(smallCard(t), 16<<10))
	r.d.cfg.Passcode.WipeAfter = 1
	r.restart()
	o := r.own("phone", 1)
	o.set(keyring.SlotPasscode, "secret")
	return o
}

// TestPulledWhileErasing deletes a device's data after a wrong passcode, and pulls the card at
// every write of what follows. When it is back, here or at a reader that knows nothing of
// it, the erasing is gone on with, until nothing is left.
func TestPulledWhileErasing(t *testing.T) {
	for _, torn := range []int{0, 40} {
		for at := 1; eraseAt(t, at, torn); at++ {
			if at > 100 {
				t.Fatal("no end of writes")
			}
		}
	}
}

func eraseAt(t *testing.T, at, torn int) (cut bool) {
	t.Helper()
	o := locked(t)
	old, err := o.d.store.Vault(o.id)
	o.must(err)
	image, err := os.Open(o.d.cfg.Card.Path) // it is there when the card is a new one
	o.must(err)
	defer image.Close()
	pulled := &cutting{Reader: o.d.mirror.reader, at: at, torn: torn}
	whole := o.d.mirror.reader
	o.d.mirror.reader = pulled
	_, err = o.enter(o.stranger(3), keyring.SlotPasscode, "guess")
	o.want(err, session.ErrWrongPasscode)
	o.d.mirror.reader = whole
	where := o.rig
	if p, err := o.d.mirror.read(o.Context(), o.id); at%2 == 0 && (err != nil || len(p.Blobs) == 0) {
		where = newRigWith(t, o.d.cfg.Card) // the card says itself what is to be done
	}
	state := where.insert()
	if _, facts := where.d.mirror.look(); state.Status != session.CardUnformatted && !facts.blank {
		t.Fatalf("write %d: the card is %+v", at, state)
	}
	raw := make([]byte, 64<<10)
	n, _ := image.ReadAt(raw, 0)
	for _, s := range old.Slots {
		if n < 16<<10-64 || bytes.Contains(raw, s.Data[8:40]) {
			t.Fatalf("write %d: the %s slot is on the card that was erased, of %d bytes", at, s.Kind, n)
		}
	}
	return pulled.cut
}

// TestOverwrittenElsewhere pulls a card when its new version was just written, and puts it in
// at a reader that does not know its vault: what is void goes there.
func TestOverwrittenElsewhere(t *testing.T) {
	o := locked(t)
	o.wantCard(o.insert(), session.CardOK)
	old := o.replaced()
	for at := 1; ; at++ { // until only the overwriting is missing
		whole := o.d.mirror.reader
		o.d.mirror.reader = &cutting{Reader: whole, at: at}
		o.insert()
		o.d.mirror.reader = whole
		if left := o.traces(); left {
			break
		}
		if at > 50 {
			t.Fatal("the card never says that something is left")
		}
	}
	now, err := o.d.store.Vault(o.id)
	o.must(err)
	elsewhere := newRigWith(t, o.d.cfg.Card)
	elsewhere.wantCard(elsewhere.insert(), session.CardOtherVault)
	o.nothingOf(old, now)
	if o.traces() {
		t.Error("the card says that something is left")
	}
	o.wantCard(o.insert(), session.CardOK)
}

// traces is what the card says of itself.
func (r *rig) traces() (traces bool) {
	r.Helper()
	r.must(r.d.mirror.visit(r.Context(), func(ctx context.Context, m card.Medium) error {
		object, err := card.NewStore(m).Load(ctx)
		traces = object.Traces
		return err
	}))
	return traces
}

// TestRottenStore changes the passcode while a blob in the store is damaged: the card keeps
// its whole version, with the only good copy. The device sends the blob again, and then the
// card is renewed.
func TestRottenStore(t *testing.T) {
	o := locked(t)
	before, err := o.d.mirror.read(t.Context(), o.id)
	o.must(err)
	whole := o.d.mirror.reader
	o.d.mirror.reader = nil
	o.damage(o.id, "blobs")
	o.d.mirror.reader = whole
	old := o.replaced()
	o.wantCard(o.insert(), session.CardError)
	now, err := o.d.mirror.read(t.Context(), o.id)
	if err != nil || len(now.Blobs) != 1 || !bytes.Equal(now.Blobs[0].Sealed, before.Blobs[0].Sealed) {
		t.Fatalf("the card's copy is lost: %v", err)
	}
	if list, err := o.d.store.Damaged(o.id); err != nil || len(list) != 1 {
		t.Fatalf("the damage is not noted: %v, %v", list, err)
	}
	if _, err := o.d.store.Get(o.id, before.Blobs[0].ID); err == nil {
		t.Fatal("a blob came back that opens with the key that was replaced")
	}
	again := session.Blob{ID: before.Blobs[0].ID}
	again.Data, err = o.key().Seal(vault.KindPack, o.id, again.ID, []byte("the same contents"))
	o.must(err)
	drain(o.d.mirror.wake)
	_, err = o.d.Put(t.Context(), o.peer, o.id, sequence(nil, again))
	o.must(err)
	if !drain(o.d.mirror.wake) {
		t.Fatal("the card is not looked at again")
	}
	o.wantCard(o.insert(), session.CardOK)
	renewed, err := o.d.mirror.read(t.Context(), o.id)
	o.must(err)
	o.nothingOf(old, renewed.Record)
}

func drain(wake chan struct{}) bool {
	select {
	case <-wake:
		return true
	default:
		return false
	}
}

// TestHealedFromCard damages blobs in the store that the card has: they are taken back from it,
// when it is put in, and when something is to be written that they belong to. What is not the
// same bytes is not taken.
func TestHealedFromCard(t *testing.T) {
	for name, next := range map[string]func(*owned){
		"known":   func(o *owned) { o.must(o.d.scrubVault(o.Context(), o.id, vault.BlobID{})); o.insert() },
		"written": func(o *owned) { o.save(2) },
	} {
		t.Run(name, func(t *testing.T) {
			o := locked(t)
			held, err := o.d.store.Get(o.id, vault.BlobID{1, 2})
			o.must(err)
			o.damage(o.id, "blobs")
			forged := vault.StoredBlob{ID: vault.BlobID{1, 2}, Sealed: append(bytes.Clone(held), 1)}
			if list, err := o.d.store.Heal(o.id, []vault.StoredBlob{forged, {ID: vault.BlobID{77}, Sealed: held}}); err != nil || len(list) != 0 {
				t.Fatalf("took %v, %v", list, err)
			}
			next(o)
			got, err := o.d.store.Get(o.id, vault.BlobID{1, 2})
			if err != nil || !bytes.Equal(got, held) {
				t.Fatalf("the blob is damaged still: %v", err)
			}
			if list, err := o.d.store.Damaged(o.id); err != nil || len(list) != 0 {
				t.Errorf("said to be damaged: %v, %v", list, err)
			}
		})
	}
}

// turns counts what is written in each transaction.
type turns struct {
	card.Reader
	written []int
	between func()
}

func (c *turns) WithCard(ctx context.Context, fn func(context.Context, card.Medium) error) error {
	f := &cardtest.Faulty{}
	err := c.Reader.WithCard(ctx, func(ctx context.Context, m card.Medium) error {
		f.Medium = m
		return fn(ctx, f)
	})
	c.written = append(c.written, f.Written)
	if c.between != nil {
		c.between()
	}
	return err
}

// TestShortTurns renews a card of 256 kB: no transaction writes much, and others get at the
// card in between.
func TestShortTurns(t *testing.T) {
	r := newRigWith(t, cardAt(smallCard(t), 256<<10))
	o := r.own("phone", 1)
	o.set(keyring.SlotPasscode, "secret")
	o.replaced()
	watched, others := &turns{Reader: o.d.mirror.reader}, 0
	plain := watched.Reader
	watched.between = func() {
		o.must(plain.WithCard(t.Context(), func(context.Context, card.Medium) error { others++; return nil }))
	}
	o.d.mirror.reader = watched
	o.wantCard(o.insert(), session.CardOK)
	total := 0
	for _, n := range watched.written {
		if total += n; n > 2*overwriteStep {
			t.Errorf("%d bytes written in one turn", n)
		}
	}
	if total < 250<<10 || others < total/(2*overwriteStep) {
		t.Errorf("%d bytes written in %d turns, %d others between them", total, len(watched.written), others)
	}
}

// TestTimeForCard allows a large card more time than a small one, as much as it takes to
// write all of it.
func TestTimeForCard(t *testing.T) {
	small := timeFor(card.Layout{Formatted: true, SlotSize: 8 << 10})
	large := timeFor(card.Layout{Formatted: true, SlotSize: 500 << 10})
	if small > 3*time.Minute || large < cardTime+1000*time.Second || timeFor(card.Layout{Free: -1}) < cardTime+unknown/slowest*time.Second {
		t.Errorf("%s for a small card, %s for a large one", small, large)
	}
}

// TestRenewFull replaces the key slots when nothing of the vault fits on the card any more: the
// old ones go all the same, and when it fits again it is written.
func TestRenewFull(t *testing.T) {
	r := newRigWith(t, cardAt(smallCard(t), 12<<10))
	o := r.own("phone", 1)
	o.set(keyring.SlotPasscode, "secret")
	whole := o.d.mirror.reader
	o.d.mirror.reader = nil
	_, err := o.d.Put(t.Context(), o.peer, o.id, sequence(nil, blob(9, 9000)))
	o.must(err)
	_, err = o.d.Commit(t.Context(), o.peer, o.next(o.id, blob(9, 9000)))
	o.must(err)
	o.d.mirror.reader = whole
	old := o.replaced()
	o.wantCard(o.insert(), session.CardFull)
	o.nothingOf(old, vault.Record{ID: o.id})
	o.wantCard(o.insert(), session.CardFull)
	c := o.next(o.id)
	c.Critical, c.Drop = c.Critical[:1], []session.ID{blob(9, 0).ID}
	state, err := o.d.Commit(t.Context(), o.peer, c)
	o.must(err)
	o.wantCard(state, session.CardOK)
	if got := o.onCard(o.id); got.Seq != 3 || o.traces() {
		t.Errorf("the card holds generation %d", got.Seq)
	}
}
