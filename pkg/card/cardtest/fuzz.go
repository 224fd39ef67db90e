package cardtest

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
)

// FuzzAnswers gives a profile answers that no sane card gives. Whatever they are,
// it must end, and claim nothing that cannot be, in each kind of reader.
func FuzzAnswers(t *testing.T, profile card.Profile, answers []byte) {
	for name, kind := range answersToReset() {
		kind.rest = answers
		if fault := fuzzAnswers(t, profile, &kind, answers); fault != "" {
			t.Fatalf("with an answer to reset %s: %s", name, fault)
		}
	}
}

// answersToReset are cards of all kinds, and what is none.
func answersToReset() map[string]fuzzed {
	return map[string]fuzzed{
		"T=0":                  {atr: []byte("\x3B\x06reprov"), t0: true},
		"T=0, extended":        {atr: []byte("\x3B\x0C\x80\x73\xC0\x21\xC0\x56reprov"), t0: true},
		"T=1":                  {atr: []byte("\x3B\x86\x01reprov\x7C")},
		"T=1, extended":        {atr: []byte("\x3B\x8C\x01\x80\x73\xC0\x21\xC0\x56reprov\x00")},
		"contactless":          {atr: []byte("\x3B\x8F\x80\x01\x80\x4F\x0C\xA0\x00\x00\x03\x06\x03\x00\x01\x00\x00\x00\x00\x6A")},
		"no historicals":       {atr: []byte{0x3B, 0x00}},
		"none":                 {},
		"cut short":            {atr: []byte{0x3B, 0xFF, 0x11}},
		"historicals past end": {atr: []byte{0x3F, 0x8F, 0x80, 0x01, 0x80, 0x73}},
	}
}

// fuzzAnswers tells what cannot be, "" for nothing.
func fuzzAnswers(t *testing.T, profile card.Profile, ch *fuzzed, answers []byte) (fault string) {
	m, err := profile(t.Context(), ch)
	if err != nil {
		return ""
	}
	if layout, err := m.Layout(t.Context()); err == nil && layout.SlotSize > card.MaxSlotSize {
		return fmt.Sprintf("a slot of %d bytes", layout.SlotSize)
	}
	store := card.NewStore(m)
	if object, err := store.Load(t.Context()); err == nil && len(object.Data) > card.MaxSlotSize {
		return "more data than a slot holds"
	}
	_, _ = store.Verify(t.Context())
	_ = store.Commit(t.Context(), 1<<40, answers)
	useFuzzed(t.Context(), m)
	_ = m.Format(t.Context(), 1000)
	return ""
}

// useFuzzed calls what the medium can do beside storing.
func useFuzzed(ctx context.Context, m card.Medium) {
	if pin, ok := m.(card.PIN); ok {
		_, _ = pin.PINStatus(ctx)
		_ = pin.VerifyPIN(ctx, []byte("123456"))
		_ = pin.ChangePIN(ctx, []byte("123456"), []byte("654321"))
	}
	if key, ok := m.(card.Key); ok {
		_, _ = key.PublicKey(ctx)
		_, _ = key.Sign(ctx, nil)
		_, _ = key.GenerateKey(ctx)
	}
	if secret, ok := m.(card.Secret); ok {
		_, _ = secret.Secret(ctx)
		_ = secret.SetSecret(ctx, []byte("secret"))
	}
}

// fuzzed is a channel whose answers come from a fuzzer, each with its length in
// front, and 6A82 when they are used up.
type fuzzed struct {
	atr  []byte
	t0   bool
	rest []byte
}

func (z *fuzzed) ATR() []byte { return bytes.Clone(z.atr) }
func (z *fuzzed) T0() bool    { return z.t0 }

func (z *fuzzed) Transmit(context.Context, []byte) ([]byte, error) {
	if len(z.rest) == 0 {
		return []byte{0x6A, 0x82}, nil
	}
	n := min(int(z.rest[0]), len(z.rest)-1)
	answer := z.rest[1 : 1+n]
	z.rest = z.rest[1+n:]
	return answer, nil
}

var _ card.Channel = (*fuzzed)(nil)
