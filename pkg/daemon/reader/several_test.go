//go:build cgo

package reader

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/pcsctest"
	"github.com/reprovision/reprovision/pkg/card/virtual"
	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// service is the private pcscd of this test binary, whose two readers one test uses at a time.
var service struct {
	sync.Mutex
	daemon *pcsctest.Daemon
	reason error
}

func TestMain(m *testing.M) {
	os.Exit(pcsctest.Main(func(d *pcsctest.Daemon, err error) { service.daemon, service.reason = d, err }, m.Run))
}

// cardPair is two readers behind a real pcscd, with the daemon running on them.
type cardPair struct {
	*rig
	plugs [2]*virtual.Plug
}

func newCardPair(t *testing.T) *cardPair {
	t.Helper()
	if service.reason != nil {
		t.Skip(service.reason)
	}
	service.Lock()
	t.Cleanup(service.Unlock)
	r := &cardPair{rig: newRigWith(t, config.Card{Kind: "pcsc", Reader: pcsctest.ReaderName, Profile: "auto"})}
	t.Cleanup(func() {
		for i := range r.plugs {
			r.pull(i)
		}
	})
	return r
}

// watch runs what follows the cards for the length of the test.
func (r *cardPair) watch() {
	r.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.d.mirror.run(ctx) }()
	r.Cleanup(func() {
		cancel()
		r.must(<-done)
	})
}

func (r *cardPair) name(slot int) string { return service.daemon.Reader(slot) }

func newCard(t *testing.T) *virtual.Card {
	t.Helper()
	c, err := virtual.New(virtual.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// insert puts a card into one of the readers.
func (r *cardPair) insert(slot int, c *virtual.Card) {
	r.Helper()
	plug, err := c.Insert(r.Context(), service.daemon.Address(slot))
	r.must(err)
	r.plugs[slot] = plug
	r.settle(slot, true)
}

// pull takes the card out of one of the readers, if there is one.
func (r *cardPair) pull(slot int) {
	r.Helper()
	if r.plugs[slot] == nil {
		return
	}
	r.plugs[slot].Pull()
	r.plugs[slot] = nil
	r.settle(slot, false)
}

// settle waits until pcscd knows whether a card is in.
func (r *cardPair) settle(slot int, in bool) {
	r.Helper()
	r.eventually("pcscd to look", func() bool {
		names, err := r.d.mirror.reader.(card.Several).Cards(context.Background())
		return err == nil && slices.Contains(names, r.name(slot)) == in
	})
}

func (r *cardPair) eventually(what string, done func() bool) {
	r.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.Fatalf("waited for %s in vain; the cards are %+v", what, r.d.card())
		}
	}
}

// sees tells how the daemon sees the card in a reader: as the one in use, or beside it.
func (r *cardPair) sees(slot int) (state, device string) {
	info := r.d.card()
	if info.Reader == r.name(slot) {
		return info.State, info.Device
	}
	for _, o := range info.Others {
		if o.Reader == r.name(slot) {
			return o.State, o.Device
		}
	}
	return "none", ""
}

func (r *cardPair) await(slot int, state, device string) {
	r.Helper()
	r.eventually(r.name(slot)+" to be "+state, func() bool {
		s, d := r.sees(slot)
		return s == state && d == device
	})
}

func (r *cardPair) format(slot int) {
	r.Helper()
	_, err := r.d.CardInit(r.Context(), busapi.CardChoice{Reader: r.name(slot)})
	r.must(err)
}

// TestCardOfEachDevice has the cards of two devices in two readers: each device's data go on
// its own card, and what one device asks of its card is not asked of the other.
func TestCardOfEachDevice(t *testing.T) {
	r := newCardPair(t)
	phone, tablet := r.pair("phone"), r.pair("tablet")
	first, second := r.create(phone, 1), r.create(tablet, 2)
	r.watch()
	r.insert(0, newCard(t))
	r.await(0, "unformatted", "")
	r.format(0)
	r.wantCard(r.backUp(phone, first, blob(1, 100)), session.CardOK)
	r.await(0, "ok", "phone")
	r.insert(1, newCard(t))
	r.await(1, "unformatted", "")
	r.format(1)
	r.wantCard(r.backUp(tablet, second, blob(2, 100)), session.CardOK)
	r.await(1, "ok", "tablet")
	r.await(0, "ok", "phone")

	for n := byte(3); n < 5; n++ { // each its own, whichever was used last
		r.wantCard(r.backUp(phone, first, blob(n, 100)), session.CardOK)
		r.wantCard(r.backUp(tablet, second, blob(n+10, 100)), session.CardOK)
	}
	for id, seq := range map[vault.VaultID]uint64{first: 3, second: 3} {
		if got := r.onCard(id); got.Seq != seq {
			t.Errorf("the card of %s holds snapshot %d", id, got.Seq)
		}
		if !r.d.mirror.holds(id) {
			t.Errorf("the card of %s is not known to hold it", id)
		}
		if s := r.d.mirror.stateFor(id); s.Status != session.CardOK {
			t.Errorf("the owner of %s is told %+v", id, s)
		}
	}
	if _, err := r.d.Attest(t.Context(), tablet, second, []byte("challenge")); err != nil {
		t.Error(err)
	}
	if _, err := r.d.Attest(t.Context(), phone, first, []byte("challenge")); err != nil {
		t.Error(err)
	}

	r.pull(0)
	r.await(0, "none", "")
	r.await(1, "ok", "tablet")
	r.wantCard(r.backUp(tablet, second, blob(20, 100)), session.CardOK)
	if s := r.d.mirror.stateFor(first); s.Status != session.CardNone {
		t.Errorf("the phone is told %+v", s)
	}
	if _, err := r.d.Attest(t.Context(), phone, first, []byte("challenge")); err == nil {
		t.Error("a card that is out answers")
	}
}

// TestStrangersCardFirst has a stranger's card in the first reader, and before the owner's.
func TestStrangersCardFirst(t *testing.T) {
	theirs, mine := newCard(t), newCard(t)
	for name, data := range map[string]struct {
		card   *virtual.Card
		vault  byte
		device string
	}{"stranger": {theirs, 7, "other"}, "owner": {mine, 1, "phone"}} {
		t.Run(name, func(t *testing.T) {
			r := newCardPair(t)
			peer := r.pair(data.device)
			id := r.create(peer, data.vault)
			r.watch()
			r.insert(0, data.card)
			r.await(0, "unformatted", "")
			r.format(0)
			r.wantCard(r.backUp(peer, id, blob(1, 100)), session.CardOK)
			if data.card == theirs {
				return
			}
			r.pull(0)
			before := theirs.Files()
			r.insert(0, theirs)
			r.await(0, "other-vault", "")
			r.insert(1, mine)
			r.await(1, "ok", "phone")
			if info := r.d.card(); info.Reader != r.name(1) || len(info.Others) != 1 {
				t.Errorf("the cards are %+v", info)
			}
			r.wantCard(r.backUp(peer, id, blob(2, 100)), session.CardOK)
			if got := r.onCard(id); got.Seq != 2 {
				t.Errorf("the owner's card holds snapshot %d", got.Seq)
			}
			r.await(0, "other-vault", "")
			if !sameFiles(before, theirs.Files()) {
				t.Error("the stranger's card was written")
			}
			r.pull(1)
			r.await(1, "none", "")
			if s := r.backUp(peer, id, blob(3, 100)); s.Status != session.CardOtherVault {
				t.Errorf("with the stranger's card alone: %+v", s)
			}
			if !sameFiles(before, theirs.Files()) {
				t.Error("the stranger's card was written")
			}
		})
	}
}

func sameFiles(a, b []*virtual.File) bool {
	return slices.EqualFunc(a, b, func(a, b *virtual.File) bool {
		return a.FID == b.FID && string(a.Data) == string(b.Data) && sameFiles(a.Children, b.Children)
	})
}

// TestBlankBesideOwn leaves a blank card alone while the owner's is in.
func TestBlankBesideOwn(t *testing.T) {
	r := newCardPair(t)
	phone := r.pair("phone")
	id := r.create(phone, 1)
	r.watch()
	r.insert(1, newCard(t))
	r.await(1, "unformatted", "")
	r.format(1)
	r.wantCard(r.backUp(phone, id, blob(1, 100)), session.CardOK)
	r.insert(0, newCard(t))
	r.await(0, "unformatted", "")
	r.format(0)
	r.await(0, "blank", "")
	r.wantCard(r.backUp(phone, id, blob(2, 100)), session.CardOK)
	r.await(0, "blank", "")
	r.await(1, "ok", "phone")
}

// TestInitOfAnother prepares no other card than the one that was asked about.
func TestInitOfAnother(t *testing.T) {
	r := newCardPair(t)
	phone := r.pair("phone")
	id := r.create(phone, 1)
	r.watch()
	mine, other := newCard(t), newCard(t)
	r.insert(0, mine)
	r.await(0, "unformatted", "")
	asked := r.d.card()
	if asked.Reader != r.name(0) || asked.Identity == "" {
		t.Fatalf("of the card only %+v is known", asked)
	}
	r.format(0)
	r.wantCard(r.backUp(phone, id, blob(1, 100)), session.CardOK)
	r.insert(1, other)
	r.await(1, "unformatted", "")
	before := mine.Files()
	refused := func(target error, says string, choice busapi.CardChoice) {
		t.Helper()
		_, err := r.d.CardInit(t.Context(), choice)
		r.want(err, target)
		if !strings.Contains(err.Error(), says) {
			t.Errorf("got %v", err)
		}
		if !sameFiles(before, mine.Files()) || len(other.Files()) != 0 {
			t.Fatal("a card was written")
		}
	}
	now := r.d.card()
	refused(busapi.ErrInvalidArguments, "name one of", busapi.CardChoice{Force: true})
	refused(busapi.ErrCard, "not the one", busapi.CardChoice{Force: true, Reader: r.name(0), Identity: asked.Identity, Expect: true})
	refused(busapi.ErrCard, "not the one", busapi.CardChoice{Force: true, Reader: r.name(1), Identity: now.Identity, Expect: true})
	refused(busapi.ErrCard, "not the one", busapi.CardChoice{Force: true, Reader: r.name(0), Expect: true})
	refused(busapi.ErrCard, "", busapi.CardChoice{Force: true, Reader: "no such reader", Identity: now.Identity, Expect: true})
	r.pull(0)
	refused(busapi.ErrCard, "", busapi.CardChoice{Force: true, Reader: r.name(0), Identity: now.Identity, Expect: true})
	r.insert(0, mine)
	r.await(0, "ok", "phone")
	_, err := r.d.CardInit(t.Context(), busapi.CardChoice{Reader: r.name(1), Identity: asked.Identity, Expect: true})
	r.must(err)
	if !sameFiles(before, mine.Files()) || len(other.Files()) == 0 {
		t.Error("the wrong card was written")
	}
}
