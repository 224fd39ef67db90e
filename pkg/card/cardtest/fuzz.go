package cardtest

import (
	"context"
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
)

// FuzzAnswers gives a profile answers that no sane card gives. Whatever they are,
// it must end, and claim nothing that cannot be.
func FuzzAnswers(t *testing.T, profile card.Profile, answers []byte) {
	ch := &fuzzed{rest: answers}
	m, err := profile(t.Context(), ch)
	if err != nil {
		return
	}
	if layout, err := m.Layout(t.Context()); err == nil && layout.SlotSize > card.MaxSlotSize {
		t.Fatalf("a slot of %d bytes", layout.SlotSize)
	}
	store := card.NewStore(m)
	if object, err := store.Load(t.Context()); err == nil && len(object.Data) > card.MaxSlotSize {
		t.Fatal("more data than a slot holds")
	}
	_, _ = store.Verify(t.Context())
	_ = store.Commit(t.Context(), 1<<40, answers)
	useFuzzed(t.Context(), m)
	_ = m.Format(t.Context(), 1000)
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
type fuzzed struct{ rest []byte }

func (*fuzzed) ATR() []byte { return []byte{0x3B, 0x00} }
func (*fuzzed) T0() bool    { return false }

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
