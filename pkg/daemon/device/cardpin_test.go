package device

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/session"
)

// typist answers with the card's PIN, after something has happened.
type typist struct {
	busapi.Prompter
	meanwhile func()
}

func (p typist) CardPIN(context.Context, string, int64, bool) (string, error) {
	p.meanwhile()
	return "123456", nil
}

// TestCardExchanged has the card exchanged while its PIN is typed, or once it has been
// told: nothing is sealed to the other card's secret.
func TestCardExchanged(t *testing.T) {
	secret := bytes.Repeat([]byte{7}, 32)
	for name, exchanged := range map[string]string{"not at all": "", "while it is typed": "typed", "after it": "told"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.write("a", "contents")
			r.backUp()
			var other atomic.Bool
			proofs, told, changed := 0, 0, 0
			r.reader.attest = func(func() (session.Attestation, error)) (session.Attestation, error) {
				proofs++
				if other.Load() {
					return session.Attestation{Identity: "another"}, nil
				}
				return session.Attestation{Identity: "the owner's"}, nil
			}
			r.reader.pin = func() ([]byte, error) {
				told++
				other.Store(exchanged == "told")
				return secret, nil
			}
			r.reader.slots = func(_ session.SlotChange, do func() (session.CardState, error)) (session.CardState, error) {
				changed++
				return do()
			}
			_, err := r.d.SetPasscode(t.Context(), busapi.PasscodeRequest{CardPIN: true}, typist{meanwhile: func() { other.Store(exchanged == "typed") }})
			held, keysErr := r.d.keys.VaultKey()
			r.must(keysErr)
			if exchanged == "" {
				if err != nil || !held.Protected || changed != 1 || told != 1 {
					t.Errorf("%v, protected %v, %d changes", err, held.Protected, changed)
				}
				return
			}
			if !errors.Is(err, busapi.ErrCard) || changed != 0 || held.Protected || held.Next != nil {
				t.Errorf("%v, protected %v, %d changes, %d proofs", err, held.Protected, changed, proofs)
			}
			if exchanged == "typed" && told != 0 {
				t.Error("the PIN was told to another card")
			}
		})
	}
}
