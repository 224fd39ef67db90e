//go:build cgo

package pcsc_test

import (
	"context"
	"errors"
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/pcsc"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

// TestForgets has the card forget the PIN at the end of the transaction in which
// it was shown, although the card itself would keep that in mind.
func TestForgets(t *testing.T) {
	r := newRig(t, virtual.Options{PIV: &virtual.PIV{}, Quirks: virtual.Quirks{KeepsStatus: true}})
	reader := pcsc.New(r.config(nil))
	pin := []byte(virtual.DefaultPIN)
	err := withCard(t, reader, func(ctx context.Context, m card.Medium) error {
		return errors.Join(m.(card.PIN).VerifyPIN(ctx, pin), m.(card.Secret).SetSecret(ctx, []byte("secret")))
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, withCard(t, reader, func(ctx context.Context, m card.Medium) error {
		st, err := m.(card.PIN).PINStatus(ctx)
		if err != nil || st.Verified || st.Tries != 3 {
			t.Errorf("the PIN is %+v, %v", st, err)
		}
		_, err = m.(card.Secret).Secret(ctx)
		return err
	}), card.ErrPINNeeded)
	err = withCard(t, reader, func(ctx context.Context, m card.Medium) error {
		if err := m.(card.PIN).VerifyPIN(ctx, pin); err != nil {
			return err
		}
		secret, err := m.(card.Secret).Secret(ctx)
		if string(secret) != "secret" {
			t.Errorf("the secret is %q", secret)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
