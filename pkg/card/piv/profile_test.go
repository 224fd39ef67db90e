package piv_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/cardtest"
	"github.com/reprovision/reprovision/pkg/card/piv"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

// foreign are objects of somebody else, two of them where ours could be, one of
// these with nothing but a template of a certificate in it.
func foreign() map[uint32][]byte {
	return map[uint32][]byte{
		0x5FC102: []byte("a card holder unique identifier"),
		0x5FC105: bytes.Repeat([]byte{0x70, 0x82}, 600),
		0x5FC10D: bytes.Repeat([]byte{0x70, 0x82}, 500),
		0x5FC113: {0x70, 0x00, 0x71, 0x01, 0x00, 0xFE, 0x00},
	}
}

func newCard(t *testing.T, options virtual.Options) *virtual.Card {
	t.Helper()
	if options.PIV == nil {
		options.PIV = &virtual.PIV{}
	}
	if options.PIV.Objects == nil {
		options.PIV.Objects = foreign()
	}
	c, err := virtual.New(options)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// untouched checks that what is not ours is as it was.
func untouched(t *testing.T, c *virtual.Card) {
	t.Helper()
	objects := c.Objects()
	for tag, contents := range foreign() {
		if !bytes.Equal(objects[tag], contents) {
			t.Fatalf("object %06X was touched", tag)
		}
	}
}

func open(t *testing.T, c *virtual.Card) *piv.Medium {
	t.Helper()
	return openWith(t, c, piv.Config{DefaultKey: true})
}

func openWith(t *testing.T, c *virtual.Card, config piv.Config) *piv.Medium {
	t.Helper()
	c.SetHook(nil)
	c.Reset()
	m, err := piv.New(config)(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return m.(*piv.Medium)
}

// quirks are kinds of cards that the profile has to get along with.
func quirks() map[string]virtual.Quirks {
	return map[string]virtual.Quirks{
		"plain":              {},
		"T=0":                {T0: true, ShortOnly: true, GetResponse: 256},
		"short only":         {ShortOnly: true},
		"GET RESPONSE":       {GetResponse: 100},
		"exact Le":           {ExactLe: true},
		"1000 byte objects":  {MaxObject: 1000},
		"objects read empty": {EmptyObjects: true},
		"long lengths":       {LongLengths: true},
		"cut to Le":          {CutShort: true},
		"no metadata":        {NoMetadata: true},
		"no mutual":          {NoMutual: true, NoMetadata: true},
		"no deletion":        {NoEmptyValue: true},
		"out of place":       {OutOfPlace: true},
	}
}

// TestMedium runs the conformance suite on every kind of card, and checks that
// what is not ours is as it was.
func TestMedium(t *testing.T) {
	for name, q := range quirks() {
		t.Run(name, func(t *testing.T) {
			cardtest.TestMedium(t, func(t *testing.T) card.Medium {
				c := newCard(t, virtual.Options{Capacity: 16 << 10, Quirks: q})
				t.Cleanup(func() { untouched(t, c) })
				return open(t, c)
			})
		})
	}
}

func kind(options virtual.Options) cardtest.Kind {
	return cardtest.Kind{
		Fresh:   func(t *testing.T) *virtual.Card { return newCard(t, options) },
		Profile: piv.New(piv.Config{DefaultKey: true}),
		Foreign: untouched,
		Slowest: 1.25,
		Wear:    wear,
		Memory: func(c *virtual.Card) []byte {
			return bytes.Join(slices.Collect(maps.Values(c.Objects())), []byte("|"))
		},
		Bare: func(t *testing.T, c *virtual.Card, n int) virtual.Counts {
			return bare(t, c, n, options.Quirks.ShortOnly)
		},
	}
}

// wear changes a byte of an object that has a piece of a version.
func wear(t *testing.T, c *virtual.Card, piece []byte) {
	t.Helper()
	for tag, contents := range c.Objects() {
		if at := bytes.Index(contents, piece); at >= 0 {
			contents[at] ^= 0x10
			if err := c.SetObject(tag, contents); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("the piece is not on the card")
}

// bare reads as many of the fullest objects as hold n bytes, by GET DATA.
func bare(t *testing.T, c *virtual.Card, n int, short bool) virtual.Counts {
	t.Helper()
	send := func(apdu ...byte) []byte {
		t.Helper()
		answer, err := c.Transmit(t.Context(), apdu)
		if err != nil || len(answer) < 2 || answer[len(answer)-2] != 0x90 && answer[len(answer)-2] != 0x61 {
			t.Fatalf("%X: %X, %v", apdu, answer, err)
		}
		return answer
	}
	objects := c.Objects()
	var tags []uint32
	for tag := uint32(0x5FC10D); tag <= 0x5FC120; tag++ {
		if foreign()[tag] == nil {
			tags = append(tags, tag)
		}
	}
	slices.SortStableFunc(tags, func(a, b uint32) int { return cmp.Compare(len(objects[b]), len(objects[a])) })
	send(0x00, 0xA4, 0x04, 0x00, 9, 0xA0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00, 0x00)
	before := c.Counts()
	for _, tag := range tags {
		if c.Counts().Read-before.Read >= n {
			break
		}
		get := []byte{0x00, 0xCB, 0x3F, 0xFF, 0x00, 0x00, 5, 0x5C, 3, byte(tag >> 16), byte(tag >> 8), byte(tag), 0x00, 0x00}
		if short {
			get = append(append([]byte{}, get[:4]...), 5, 0x5C, 3, byte(tag>>16), byte(tag>>8), byte(tag), 0x00)
		}
		for answer := send(get...); answer[len(answer)-2] == 0x61; answer = send(0x00, 0xC0, 0x00, 0x00, 0x00) {
			continue
		}
	}
	return cardtest.Since(c.Counts(), before)
}

func TestCuts(t *testing.T) { cardtest.TestCuts(t, kind(virtual.Options{Capacity: 16 << 10})) }

func TestRenew(t *testing.T) {
	cardtest.TestRenew(t, kind(virtual.Options{Capacity: 16 << 10}))
}

func TestRepair(t *testing.T) {
	cardtest.TestRepair(t, kind(virtual.Options{Capacity: 16 << 10}))
}

// TestEffort measures a card as large as a YubiKey, once with extended lengths
// and once without.
func TestEffort(t *testing.T) {
	for name, q := range map[string]virtual.Quirks{"extended": {}, "short": {ShortOnly: true}} {
		t.Run(name, func(t *testing.T) { cardtest.TestEffort(t, kind(virtual.Options{Quirks: q})) })
	}
}

// TestFormatSizes checks what Format makes of cards with more and less room, and
// that the whole of it can be used.
func TestFormatSizes(t *testing.T) {
	for name, test := range map[string]struct {
		capacity, maxObject, least int
		outOfPlace                 bool
	}{
		"YubiKey":      {51200, 3063, 19000, false},
		"out of place": {51200, 3063, 19000, true},
		"large":        {200_000, 3063, 8 * 3055, false},
		"small":        {10_000, 3063, 2000, false},
		"tiny objects": {51200, 700, 8 * 676, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCard(t, virtual.Options{Capacity: test.capacity, Quirks: virtual.Quirks{MaxObject: test.maxObject, OutOfPlace: test.outOfPlace}})
			m := open(t, c)
			if err := m.Format(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			layout, err := m.Layout(t.Context())
			if err != nil || layout.Capacity() < test.least || layout.Objects != 18 || layout.Skipped != 2 {
				t.Fatalf("%+v, %v", layout, err)
			}
			t.Logf("%d bytes for a version on a card of %d", layout.Capacity(), test.capacity)
			for generation := uint64(1); generation < 6; generation++ {
				data := bytes.Repeat([]byte{byte(generation)}, layout.Capacity())
				for i := range data {
					data[i] += byte(i) ^ byte(i>>8)*byte(generation)
				}
				if err := card.NewStore(m).Commit(t.Context(), generation, data); err != nil {
					t.Fatal(err)
				}
			}
			untouched(t, c)
		})
	}
}

func TestFormatFull(t *testing.T) {
	for name, test := range map[string]struct {
		options virtual.Options
		size    int
	}{
		"no room":         {virtual.Options{Capacity: 3000}, 0},
		"larger than all": {virtual.Options{}, 60_000},
		"larger than it":  {virtual.Options{Capacity: 12_000}, 20_000},
		"no objects":      {virtual.Options{PIV: &virtual.PIV{Objects: crowded()}}, 0},
	} {
		c := newCard(t, test.options)
		if err := open(t, c).Format(t.Context(), test.size); !errors.Is(err, card.ErrFull) {
			t.Errorf("%s: %v", name, err)
		}
		if layout, err := open(t, c).Layout(t.Context()); err != nil || layout.Formatted {
			t.Errorf("%s: %+v, %v", name, layout, err)
		}
	}
}

// crowded leaves three objects to us.
func crowded() map[uint32][]byte {
	objects := foreign()
	for tag := uint32(0x5FC10D); tag < 0x5FC120-2; tag++ {
		objects[tag] = []byte{0x70, 1, 1}
	}
	return objects
}

// TestStolen checks that objects which another program took from us are left to
// it, and that what is lost with them is known.
func TestStolen(t *testing.T) {
	c := newCard(t, virtual.Options{})
	m := open(t, c)
	if err := errors.Join(m.Format(t.Context(), 0), m.Commit(t.Context(), 1, []byte("one")), m.Commit(t.Context(), 2, []byte("two"))); err != nil {
		t.Fatal(err)
	}
	theirs := bytes.Repeat([]byte{0x70}, 300)
	for tag := uint32(0x5FC111); tag <= 0x5FC11A; tag++ {
		if err := c.SetObject(tag, theirs); err != nil {
			t.Fatal(err)
		}
	}
	m = open(t, c)
	big := make([]byte, 15000)
	for i := range big {
		big[i] = byte(i * i >> 5)
	}
	if err := m.Commit(t.Context(), 3, big[:9000]); err != nil {
		t.Fatal(err)
	}
	var full *card.FullError
	if err := m.Commit(t.Context(), 4, random(20000)); !errors.As(err, &full) || full.Have >= 20000 {
		t.Fatalf("got %v", err)
	}
	for tag := uint32(0x5FC111); tag <= 0x5FC11A; tag++ {
		if !bytes.Equal(c.Objects()[tag], theirs) {
			t.Fatalf("object %06X was overwritten", tag)
		}
	}
	object, err := open(t, c).Load(t.Context())
	if err != nil || !bytes.Equal(object.Data, big[:9000]) {
		t.Fatalf("generation %d, %v", object.Generation, err)
	}
	if err := c.SetObject(0x5FC10E, theirs); err != nil { // a header's
		t.Fatal(err)
	}
	m = open(t, c)
	first, second := m.Commit(t.Context(), 4, []byte("four")), m.Commit(t.Context(), 5, []byte("five"))
	if !errors.Is(errors.Join(first, second), card.ErrForeign) || !bytes.Equal(c.Objects()[0x5FC10E], theirs) {
		t.Fatalf("got %v, %v", first, second)
	}
}

// TestDamaged changes each object in turn, in a way that it still looks like
// ours, and checks that the version before is found and the loss is told.
func TestDamaged(t *testing.T) {
	c := newCard(t, virtual.Options{})
	m := open(t, c)
	one, two := random(5000), random(6000)
	if err := errors.Join(m.Format(t.Context(), 0), m.Commit(t.Context(), 1, one), m.Commit(t.Context(), 2, two)); err != nil {
		t.Fatal(err)
	}
	lost := 0
	for tag, contents := range c.Objects() {
		if tag < 0x5FC10E || len(contents) < 100 || foreign()[tag] != nil {
			continue
		}
		for _, off := range []int{20, len(contents) / 2, len(contents) - 1} {
			broken := bytes.Clone(contents)
			broken[off] ^= 0x10
			if err := c.SetObject(tag, broken); err != nil {
				t.Fatal(err)
			}
			object, err := open(t, c).Load(t.Context())
			if err != nil || object.Generation == 1 && !bytes.Equal(object.Data, one) || object.Generation == 2 && !bytes.Equal(object.Data, two) {
				t.Fatalf("object %06X: generation %d, %v", tag, object.Generation, err)
			}
			if object.Lost == 2 {
				lost++
			}
		}
		if err := c.SetObject(tag, contents); err != nil {
			t.Fatal(err)
		}
	}
	if lost < 6 {
		t.Fatalf("%d damages of the newest version told", lost)
	}
}

// TestExchangedCard checks that another card is noticed that took the place of
// the one the transaction began with.
func TestExchangedCard(t *testing.T) {
	first, second := newCard(t, virtual.Options{}), newCard(t, virtual.Options{})
	for _, c := range []*virtual.Card{first, second} {
		if err := open(t, c).Format(t.Context(), 4096); err != nil {
			t.Fatal(err)
		}
	}
	first.Reset()
	s := &slot{Card: first}
	m, err := piv.New(piv.Config{DefaultKey: true})(t.Context(), s)
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
	if _, err := open(t, second).Load(t.Context()); !errors.Is(err, card.ErrBlank) {
		t.Fatalf("the other card was written: %v", err)
	}
}

// slot is a channel whose card can be exchanged.
type slot struct{ *virtual.Card }

func TestUnsupported(t *testing.T) {
	c, err := virtual.New(virtual.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := piv.New(piv.Config{})(t.Context(), c); !errors.Is(err, card.ErrUnsupported) {
		t.Fatalf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := piv.New(piv.Config{})(ctx, c); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

// FuzzOpen gives the profile answers that no sane card gives.
func FuzzOpen(f *testing.F) {
	f.Add([]byte("\x02\x90\x00\x02\x6A\x82"))
	f.Add([]byte("\x02\x90\x00\x06\x53\x82\x00\x01\xC1\x90\x00\x02\x61\x00"))
	for _, header := range headers(f) {
		script := append([]byte{2, 0x90, 0x00}, byte(len(header)+2))
		f.Add(append(append(script, header...), 0x90, 0x00))
	}
	f.Fuzz(func(t *testing.T, answers []byte) {
		cardtest.FuzzAnswers(t, piv.New(piv.Config{DefaultKey: true}), answers)
	})
}

// headers are answers with headers in them, as a card gives them.
func headers(f *testing.F) [][]byte {
	c, err := virtual.New(virtual.Options{PIV: &virtual.PIV{}})
	if err != nil {
		f.Fatal(err)
	}
	m, err := piv.New(piv.Config{DefaultKey: true})(f.Context(), c)
	if err == nil {
		err = errors.Join(m.Format(f.Context(), 4096), card.NewStore(m).Commit(f.Context(), 1, []byte("data")))
	}
	if err != nil {
		f.Fatal(err)
	}
	var list [][]byte
	for _, tag := range []uint32{0x5FC10D, 0x5FC10E} {
		contents := c.Objects()[tag]
		list = append(list, append([]byte{0x53, 0x81, byte(len(contents))}, contents...))
	}
	return list
}
