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

// kind is the plain card with its foreign objects, for the suites about APDUs.
func kind(quirks virtual.Quirks) cardtest.Kind {
	return cardtest.Kind{
		Fresh:   func(t *testing.T) *virtual.Card { return newCard(t, quirks) },
		Profile: iso7816.Open,
		Slowest: 1.15,
		Wear:    wear,
		Memory:  memory,
		Foreign: func(t *testing.T, c *virtual.Card) {
			t.Helper()
			if !reflect.DeepEqual(c.Files()[:len(foreign())], foreign()) {
				t.Fatal("foreign objects were touched")
			}
		},
		Bare: bare,
	}
}

// send passes a command and wants it done.
func send(t *testing.T, c *virtual.Card, apdu ...byte) {
	t.Helper()
	answer, err := c.Transmit(t.Context(), apdu)
	if err != nil || len(answer) < 2 || !bytes.Equal(answer[len(answer)-2:], []byte{0x90, 0x00}) {
		t.Fatalf("%X: %X, %v", apdu, answer, err)
	}
}

// wear changes a byte of a file that has a piece of a version.
func wear(t *testing.T, c *virtual.Card, piece []byte) {
	t.Helper()
	files := c.Files()
	for _, dir := range files {
		for _, file := range dir.Children {
			if at := bytes.Index(file.Data, piece); at >= 0 {
				file.Data[at] ^= 0x10
				if err := c.Replace(files); err != nil {
					t.Fatal(err)
				}
				return
			}
		}
	}
	t.Fatal("the piece is not on the card")
}

// bare reads the first n bytes of slot A by READ BINARY.
func bare(t *testing.T, c *virtual.Card, n int) virtual.Counts {
	t.Helper()
	send(t, c, append([]byte{0x00, 0xA4, 0x04, 0x0C, 12}, "\xF0reprovision"...)...)
	send(t, c, 0x00, 0xA4, 0x02, 0x0C, 2, 0x52, 0x01)
	before := c.Counts()
	for off := 0; off < n; off += 256 {
		send(t, c, 0x00, 0xB0, byte(off>>8), byte(off), byte(min(n-off, 256)))
	}
	return cardtest.Since(c.Counts(), before)
}

func TestCuts(t *testing.T) { cardtest.TestCuts(t, kind(virtual.Quirks{})) }

// memory is what all files on the card hold.
func memory(c *virtual.Card) []byte { return contents(c.Files()) }

func contents(files []*virtual.File) []byte {
	var b []byte
	for _, f := range files {
		b = append(append(append(b, f.Data...), '|'), contents(f.Children)...)
	}
	return b
}

func TestRenew(t *testing.T) { cardtest.TestRenew(t, kind(virtual.Quirks{})) }

func TestRepair(t *testing.T) { cardtest.TestRepair(t, kind(virtual.Quirks{})) }

func TestEffort(t *testing.T) {
	large := kind(virtual.Quirks{})
	large.Fresh = func(t *testing.T) *virtual.Card { return newLarge(t, virtual.DefaultCapacity, virtual.Quirks{}) }
	cardtest.TestEffort(t, large)
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
	small, err := virtual.New(virtual.Options{Capacity: 1800})
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
	f.Fuzz(func(t *testing.T, answers []byte) { cardtest.FuzzAnswers(t, iso7816.Open, answers) })
}

func noise(seed uint64, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 1}).Read(p)
	return p
}
