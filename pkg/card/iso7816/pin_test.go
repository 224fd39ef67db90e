package iso7816_test

import (
	"errors"
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/iso7816"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

func withPIN(t *testing.T, c *virtual.Card, config iso7816.Config) card.PIN {
	t.Helper()
	c.Reset()
	m, err := iso7816.New(config)(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return m.(card.PIN)
}

func wantStatus(t *testing.T, m card.PIN, want card.PINStatus) {
	t.Helper()
	if got, err := m.QueryPIN(t.Context()); err != nil || got != want {
		t.Fatalf("got %+v, %v, want %+v", got, err, want)
	}
	if got, err := m.PINStatus(t.Context()); err != nil || got != want {
		t.Fatalf("known %+v, %v, want %+v", got, err, want)
	}
}

func want(t *testing.T, err, sentinel error) {
	t.Helper()
	if !errors.Is(err, sentinel) {
		t.Fatalf("got error %v, want %v", err, sentinel)
	}
}

func fine(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestPIN is the life of a PIN: set, wanted, changed, mistaken, blocked, unblocked
// and cleared.
func TestPIN(t *testing.T) {
	c, err := virtual.New(virtual.Options{})
	fine(t, err)
	ask, ctx := iso7816.Config{}, t.Context()
	m := withPIN(t, c, ask)
	wantStatus(t, m, card.PINStatus{State: card.PINNone, Tries: -1})
	want(t, m.VerifyPIN(ctx, []byte("1234")), card.ErrUnsupported)
	want(t, m.SetPIN(ctx, nil), card.ErrPINFormat)
	fine(t, m.SetPIN(ctx, []byte("1234")))
	wantStatus(t, m, card.PINStatus{State: card.PINSet, Tries: 3})
	want(t, m.(card.Medium).Format(ctx, 4096), card.ErrPINNeeded)
	want(t, m.VerifyPIN(ctx, nil), card.ErrPINFormat) // would be a question, not a PIN
	fine(t, m.VerifyPIN(ctx, []byte("1234")))
	wantStatus(t, m, card.PINStatus{State: card.PINSet, Tries: -1, Verified: true})
	fine(t, m.(card.Medium).Format(ctx, 4096))
	fine(t, m.ChangePIN(ctx, []byte("1234"), []byte("567890")))

	// Whoever takes that for a card without a PIN loses no try.
	for _, config := range []iso7816.Config{ask, {NoQuery: true}} {
		for range 4 {
			if err := withPIN(t, c, config).SetPIN(ctx, []byte("9999")); err == nil || errors.Is(err, card.ErrPIN) {
				t.Fatalf("got %v", err)
			}
		}
	}
	want(t, withPIN(t, c, ask).SetPIN(ctx, []byte("9999")), card.ErrPINExists)
	wantStatus(t, withPIN(t, c, ask), card.PINStatus{State: card.PINSet, Tries: 3})

	m = withPIN(t, c, iso7816.Config{NoQuery: true}) // a kind of card that must not be asked
	wantStatus(t, m, card.PINStatus{State: card.PINUnknown, Tries: -1})
	for tries := 2; tries >= 0; tries-- {
		var wrong *card.PINError
		if err := m.VerifyPIN(ctx, []byte("123456")); !errors.As(err, &wrong) || wrong.Tries != tries {
			t.Fatalf("got %v, want %d tries left", err, tries)
		}
	}
	wantStatus(t, m, card.PINStatus{State: card.PINBlocked})
	want(t, m.VerifyPIN(ctx, []byte("567890")), card.ErrPINBlocked)
	want(t, m.UnblockPIN(ctx, []byte("00000000"), []byte("0000")), card.ErrPIN)
	fine(t, m.UnblockPIN(ctx, []byte(virtual.DefaultPUK), []byte("0000")))

	m = withPIN(t, c, ask)
	want(t, m.ClearPIN(ctx, []byte("1111")), card.ErrPIN)
	wantStatus(t, m, card.PINStatus{State: card.PINSet, Tries: 2})
	fine(t, m.ClearPIN(ctx, []byte("0000")))
	m = withPIN(t, c, ask)
	wantStatus(t, m, card.PINStatus{State: card.PINNone, Tries: -1})
	fine(t, m.(card.Medium).Format(ctx, 4096))
	want(t, m.SetPIN(ctx, []byte("1111")), card.ErrPIN) // the card still has the other one
	fine(t, m.SetPIN(ctx, []byte("0000")))
	wantStatus(t, withPIN(t, c, ask), card.PINStatus{State: card.PINSet, Tries: 3})
}

// TestPINAnswers checks answers that the virtual card does not give.
func TestPINAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		answer endless
		want   error
	}{
		"no counter": {endless{0x63, 0x00}, card.ErrPIN}, "invalidated": {endless{0x69, 0x84}, card.ErrPINBlocked},
		"no PIN": {endless{0x6A, 0x88}, card.ErrUnsupported}, "length": {endless{0x67, 0x00}, card.ErrPINFormat},
		"none left": {endless{0x63, 0xC0}, card.ErrPINBlocked},
	} {
		r := iso7816.Reference{
			Link: iso7816.Link{Transmitter: test.answer}, Number: 0x81, Code: func(pin []byte) ([]byte, error) { return pin, nil },
		}
		if err := r.Verify(t.Context(), []byte("1234")); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestExtendedLengths looks at answers to reset of real cards and broken ones.
func TestExtendedLengths(t *testing.T) {
	for atr, want := range map[string]bool{
		"\x3B\xFD\x13\x00\x00\x81\x31\xFE\x15\x80\x73\xC0\x21\xC0\x57\x59\x75\x62\x69\x4B\x65\x79\x40": true, // YubiKey 5
		"\x3B\x86\x01reprov\x17":                   false,
		"\x3B\x06reprov":                           false,
		"\x3B\x04\x80\x73\xC0\x21":                 false,
		"\x3B\x05\x80\x73\xC0\x21\x80":             false,
		"\x3B\x05\x80\x73\xC0\x21\x40":             true,
		"\x3B\x08\x00\x73\x00\x00\x40\x00\x00\x00": true,
		"\x3B\x0F\x80":                             false,
		"\x3B\xFF":                                 false,
		"\x3B":                                     false,
		"":                                         false,
	} {
		if got := iso7816.ExtendedLengths([]byte(atr)); got != want {
			t.Errorf("%x: got %v", atr, got)
		}
	}
}

// FuzzExtendedLengths takes any answer to reset.
func FuzzExtendedLengths(f *testing.F) {
	f.Add([]byte("\x3B\xFD\x13\x00\x00\x81\x31\xFE\x15\x80\x73\xC0\x21\xC0"))
	f.Fuzz(func(_ *testing.T, atr []byte) { iso7816.ExtendedLengths(atr) })
}
