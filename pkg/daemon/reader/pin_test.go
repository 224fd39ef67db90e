package reader

import (
	"context"
	"strings"
	"testing"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/piv"
	"github.com/reprovision/reprovision/pkg/card/virtual"
	"github.com/reprovision/reprovision/pkg/vault"
)

// direct lends a virtual PIV card without PC/SC; nil is no card. Each
// transaction ends as a reset does.
type direct struct{ card *virtual.Card }

func (d *direct) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (d *direct) WithCard(ctx context.Context, fn func(context.Context, card.Medium) error) error {
	if d.card == nil {
		return card.ErrNoCard
	}
	d.card.Reset()
	m, err := piv.New(piv.Config{DefaultKey: true})(ctx, d.card)
	if err != nil {
		return err
	}
	return fn(ctx, m)
}

// newToken makes a PIV card.
func newToken(t *testing.T, options virtual.PIV) *virtual.Card {
	t.Helper()
	c, err := virtual.New(virtual.Options{PIV: &options})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newTokenRig is a daemon with a PIV card in its reader.
func newTokenRig(t *testing.T, options virtual.PIV) (*rig, *direct) {
	t.Helper()
	r, slot := newRig(t), &direct{newToken(t, options)}
	r.d.mirror.reader = slot
	return r, slot
}

func (r *rig) wantPIN(got busapi.PINInfo, state string, tries int64) {
	r.Helper()
	if want := (busapi.PINInfo{PIN: state, Tries: tries}); got != want {
		r.Fatalf("got %+v, want %+v", got, want)
	}
}

func TestCardPIN(t *testing.T) {
	r, slot := newTokenRig(t, virtual.PIV{})
	r.insert()
	ctx, codes := t.Context(), busapi.PINCodes{PIN: virtual.DefaultPIN, New: "654321"}
	got, err := r.d.CardPIN(ctx)
	r.must(err)
	r.wantPIN(got, "set", 3)
	got, err = r.d.CardChangePIN(ctx, codes)
	r.must(err)
	r.wantPIN(got, "set", 3)
	for left := int64(2); left >= 0; left-- {
		got, err = r.d.CardChangePIN(ctx, codes)
		want, state := busapi.ErrWrongPIN, "set"
		if left == 0 {
			want, state = busapi.ErrPINBlocked, "blocked"
		}
		r.want(err, want)
		r.wantPIN(got, state, left)
		if info := r.d.card(); info.PINTries != left || info.PIN != state {
			t.Errorf("the card is %+v with %d tries left", info, left)
		}
		if told := r.d.mirror.stateFor(vault.VaultID{}).PIN; !told.Known || int64(told.Left) != left {
			t.Errorf("a device is told of %+v with %d tries left", told, left)
		}
		if strings.Contains(err.Error(), codes.PIN) || strings.Contains(err.Error(), codes.New) {
			t.Errorf("the error tells a PIN: %v", err)
		}
	}
	_, err = r.d.CardSetPIN(ctx, busapi.PINCodes{PUK: "99999999", New: "222222"})
	r.want(err, busapi.ErrWrongPIN)
	if err.Error() != "wrong PUK, 2 left before it is blocked" {
		t.Errorf("the error says %q", err)
	}
	got, err = r.d.CardSetPIN(ctx, busapi.PINCodes{PUK: virtual.DefaultPUK, New: "222222"})
	r.must(err)
	r.wantPIN(got, "set", 3)
	_, err = r.d.CardSetPIN(ctx, busapi.PINCodes{New: "333333"})
	r.want(err, busapi.ErrCard) // it has one
	_, err = r.d.CardClearPIN(ctx, busapi.PINCodes{PIN: "222222"})
	r.want(err, busapi.ErrCard)
	_, err = r.d.CardChangePIN(ctx, busapi.PINCodes{PIN: "222222", New: "2"})
	r.want(err, busapi.ErrInvalidArguments)
	slot.card = nil
	_, err = r.d.CardPIN(ctx)
	r.want(err, busapi.ErrCard)
}

// TestPINOfFileCard asks for what an image file does not have.
func TestPINOfFileCard(t *testing.T) {
	r := newRig(t)
	r.initCard()
	_, err := r.d.CardPIN(t.Context())
	r.want(err, busapi.ErrCard)
	for _, codes := range []busapi.PINCodes{{}, {PIN: "123456"}, {New: "123456"}} {
		_, err = r.d.CardChangePIN(t.Context(), codes)
		r.want(err, busapi.ErrInvalidArguments)
	}
	if info := r.d.card(); info.PIN != "" || info.PINTries != -1 || info.CardKey {
		t.Errorf("the card is %+v", info)
	}
}
