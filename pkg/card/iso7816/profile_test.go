package iso7816_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/cardtest"
	"github.com/reprovision/reprovision/pkg/card/iso7816"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

// capacity of the virtual cards, in bytes: room for two slots of some 8 kB.
const capacity = 16 << 10

// foreign are objects of somebody else, our file identifiers among them.
func foreign() []*virtual.File {
	return []*virtual.File{
		{FID: 0x2F00, Data: []byte("directory of applications")},
		{FID: 0x5201, Data: []byte("has the identifier of our slot, elsewhere")},
		{FID: 0x52C1, Data: []byte("has the identifier of our other second segment, elsewhere")},
		{FID: 0x5250, Dir: true, Name: []byte("\xA0\x00\x00\x00\x63PKCS-15"), Children: []*virtual.File{
			{FID: 0x5200, Data: []byte("has the identifier of our label, elsewhere")},
			{FID: 0x5281, Data: []byte("has the identifier of our second segment, elsewhere")},
		}},
	}
}

func newCard(t *testing.T, quirks virtual.Quirks) *virtual.Card {
	t.Helper()
	c, err := virtual.New(virtual.Options{Capacity: capacity, Files: foreign(), Quirks: quirks})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func open(t *testing.T, c *virtual.Card) card.Medium {
	t.Helper()
	c.SetHook(nil)
	c.Reset()
	m, err := iso7816.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// quirks are kinds of cards that the profile has to get along with.
func quirks() map[string]virtual.Quirks {
	return map[string]virtual.Quirks{
		"plain":           {},
		"T=0":             {T0: true, ShortOnly: true, GetResponse: 256},
		"GET RESPONSE":    {GetResponse: 100},
		"exact Le":        {ExactLe: true},
		"128 bytes":       {MaxData: 128},
		"short reads":     {ReadAtMost: 60},
		"6282 at the end": {PastEnd: iso7816.SWEndOfFile},
		"9000 past end":   {PastEnd: iso7816.SWOK},
		"tag 80":          {SizeTag: 0x80},
		"tag 81":          {SizeTag: 0x81},
		"only tag 80":     {SizeTag: 0x80, OneSizeTag: true},
		"only tag 81":     {SizeTag: 0x81, OneSizeTag: true},
		"no delete":       {NoDelete: true},
		"no P1=02":        {NoEFSelector: true},
		"dirty memory":    {Dirty: true},
	}
}

// TestMedium runs the conformance suite on every kind of card, and checks that
// what is not ours is as it was.
func TestMedium(t *testing.T) {
	for name, q := range quirks() {
		t.Run(name, func(t *testing.T) {
			cardtest.TestMedium(t, func(t *testing.T) card.Medium {
				c := newCard(t, q)
				t.Cleanup(func() {
					if files := c.Files(); !reflect.DeepEqual(files[:len(foreign())], foreign()) {
						t.Error("foreign objects were touched")
					}
				})
				return open(t, c)
			})
		})
	}
}

// workload formats a card and commits twice: all that the profile ever does.
func workload(ctx context.Context, c *virtual.Card, data []byte) error {
	m, err := iso7816.Open(ctx, c)
	if err != nil {
		return err
	}
	store := card.NewStore(m)
	object, err := store.Load(ctx)
	if err != nil {
		return err
	}
	return store.Commit(ctx, object.Generation+1, data)
}

// TestCutEveryAPDU pulls the card at every APDU of a commit: before it, after it
// and inside its write. The last whole version must be there each time.
func TestCutEveryAPDU(t *testing.T) {
	for name, action := range map[string]virtual.Action{
		"before": virtual.PullFirst, "after": virtual.PullAfter, "torn": virtual.Tear,
	} {
		t.Run(name, func(t *testing.T) { cutEvery(t, action) })
	}
}

func cutEvery(t *testing.T, action virtual.Action) {
	c := newCard(t, virtual.Quirks{})
	m := open(t, c)
	data, generation := noise(0, 3000), uint64(1)
	if err := errors.Join(m.Format(t.Context(), 4096), card.NewStore(m).Commit(t.Context(), generation, data)); err != nil {
		t.Fatal(err)
	}
	for n := 1; ; n++ {
		next := noise(uint64(n), 3000)
		c.Reset()
		c.SetHook(virtual.FaultAt(n, action))
		err := workload(t.Context(), c, next)
		object, loaded := card.NewStore(open(t, c)).Load(t.Context())
		if loaded != nil {
			t.Fatalf("APDU %d: %v", n, loaded)
		}
		if object.Generation == generation+1 {
			data, generation = next, generation+1
		} else if err == nil {
			t.Fatalf("APDU %d: commit succeeded and is gone", n)
		}
		if object.Generation != generation || !bytes.Equal(object.Data, data) {
			t.Fatalf("APDU %d: generation %d loaded, %d expected", n, object.Generation, generation)
		}
		if err == nil {
			if n < 30 {
				t.Fatalf("a commit took only %d APDUs", n)
			}
			return
		}
		if !errors.Is(err, card.ErrRemoved) {
			t.Fatalf("APDU %d: %v", n, err)
		}
	}
}

// TestCutEveryAPDUOfFormat checks that a format cut short leaves the card
// unformatted or formatted, that it can be formatted then, and that foreign
// objects stay.
func TestCutEveryAPDUOfFormat(t *testing.T) {
	for n := 1; ; n++ {
		c := newCard(t, virtual.Quirks{})
		m := open(t, c)
		c.SetHook(virtual.FaultAt(n, virtual.PullAfter))
		err := m.Format(t.Context(), 0)
		again := open(t, c)
		_, loaded := card.NewStore(again).Load(t.Context())
		if !errors.Is(loaded, card.ErrUnformatted) && !errors.Is(loaded, card.ErrBlank) {
			t.Fatalf("APDU %d: %v", n, loaded)
		}
		if err := again.Format(t.Context(), 4096); err != nil {
			t.Fatalf("APDU %d: %v", n, err)
		}
		if !reflect.DeepEqual(c.Files()[:len(foreign())], foreign()) {
			t.Fatalf("APDU %d: foreign objects were touched", n)
		}
		if err == nil {
			return
		}
	}
}

// TestEffort measures what goes over the contacts: after a change of 1 kB at
// most 3 kB are written, and a load takes at most 1.15 times the APDUs of the
// bare transfer.
func TestEffort(t *testing.T) {
	c, err := virtual.New(virtual.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := open(t, c)
	data := noise(1, 20<<10)
	if err := m.Format(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	for generation := uint64(1); generation <= 3; generation++ {
		copy(data[generation*3000:], noise(generation+9, 1000))
		before := c.Counts().Written
		if err := card.NewStore(m).Commit(t.Context(), generation, data); err != nil {
			t.Fatal(err)
		}
		if written := c.Counts().Written - before; generation == 3 && written > 3<<10 {
			t.Errorf("%d bytes written for a change of 1000", written)
		}
	}
	c.Reset()
	before := c.Counts()
	if _, err := card.NewStore(open(t, c)).Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, bare := c.Counts(), (len(data)+255)/256
	if apdus := after.APDUs - before.APDUs; float64(apdus) > 1.15*float64(bare) {
		t.Errorf("a load took %d APDUs, the bare transfer %d", apdus, bare)
	}
}

// TestExchangedCard checks that another card is noticed that took the place of
// the one the transaction began with.
func TestExchangedCard(t *testing.T) {
	first, second := newCard(t, virtual.Quirks{}), newCard(t, virtual.Quirks{})
	for _, c := range []*virtual.Card{first, second} {
		if err := open(t, c).Format(t.Context(), 4096); err != nil {
			t.Fatal(err)
		}
	}
	first.Reset()
	s := &slot{Card: first}
	m, err := iso7816.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	store := card.NewStore(m)
	if err := store.Commit(t.Context(), 1, []byte("for the first")); err != nil {
		t.Fatal(err)
	}
	second.Reset()
	s.Card = second
	if err := store.Commit(t.Context(), 2, []byte("for the first")); !errors.Is(err, card.ErrRemoved) {
		t.Fatalf("got %v", err)
	}
	if _, err := card.NewStore(open(t, second)).Load(t.Context()); !errors.Is(err, card.ErrBlank) {
		t.Fatalf("the other card was written: %v", err)
	}
}

// slot is a channel whose card can be exchanged.
type slot struct{ *virtual.Card }

func TestUnsupported(t *testing.T) {
	for name, answer := range map[string]endless{"no instruction": {0x6D, 0x00}, "no file": {0x6A, 0x82}, "no class": {0x6E, 0x00}} {
		if _, err := iso7816.Open(t.Context(), dumb{answer}); !errors.Is(err, card.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// dumb is a channel to a card that gives one answer to everything.
type dumb struct{ endless }

func (dumb) ATR() []byte { return []byte{0x3B, 0x00} }
func (dumb) T0() bool    { return false }

// TestRefused checks what the card's refusals become.
func TestRefused(t *testing.T) {
	locked, err := virtual.New(virtual.Options{PIN: []byte("123456")})
	if err != nil {
		t.Fatal(err)
	}
	if err := open(t, locked).Format(t.Context(), 0); !errors.Is(err, card.ErrReadOnly) {
		t.Errorf("write without PIN: %v", err)
	}
	small, err := virtual.New(virtual.Options{Capacity: 1000})
	if err != nil {
		t.Fatal(err)
	}
	m := open(t, small)
	if err := m.Format(t.Context(), 4096); !errors.Is(err, card.ErrFull) {
		t.Errorf("slots larger than the card: %v", err)
	}
	if err := m.Format(t.Context(), 0); err != nil {
		t.Errorf("a small card: %v", err)
	}
}

// FuzzOpen gives the profile answers that no sane card gives.
func FuzzOpen(f *testing.F) {
	f.Add([]byte("\x02\x90\x00\x02\x6A\x82"))
	f.Add([]byte("\x02\x61\x02\x04ab\x90\x00\x01\x90"))
	f.Fuzz(func(t *testing.T, answers []byte) {
		ch := &fuzzed{rest: answers}
		m, err := iso7816.Open(t.Context(), ch)
		if err != nil {
			return
		}
		_ = m.Format(t.Context(), 1000)
		if object, err := card.NewStore(m).Load(t.Context()); err == nil && len(object.Data) > card.MaxSlotSize {
			t.Fatal("more data than a slot holds")
		}
	})
}

// fuzzed is a channel whose answers come from a fuzzer, each with its length in
// front, and 6A82 when they are used up.
type fuzzed struct {
	dumb
	rest []byte
}

func (z *fuzzed) Transmit(context.Context, []byte) ([]byte, error) {
	if len(z.rest) == 0 {
		return []byte{0x6A, 0x82}, nil
	}
	n := min(int(z.rest[0]), len(z.rest)-1)
	answer := z.rest[1 : 1+n]
	z.rest = z.rest[1+n:]
	return answer, nil
}

func noise(seed uint64, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 1}).Read(p)
	return p
}
