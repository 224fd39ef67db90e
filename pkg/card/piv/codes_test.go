package piv_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/piv"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

func random(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(rand.Uint32())
	}
	return p
}

func want(t *testing.T, err, sentinel error) {
	t.Helper()
	if !errors.Is(err, sentinel) {
		t.Fatalf("got error %v, want %v", err, sentinel)
	}
}

func wantStatus(t *testing.T, m card.PIN, wanted card.PINStatus) {
	t.Helper()
	if got, err := m.PINStatus(t.Context()); err != nil || got != wanted {
		t.Fatalf("got %+v, %v, want %+v", got, err, wanted)
	}
}

// TestManagementKey shows keys of every algorithm in both ways.
func TestManagementKey(t *testing.T) {
	for name, test := range map[string]struct {
		algorithm byte
		size      int
	}{
		"3DES": {virtual.AlgorithmTDES, 24}, "AES-128": {virtual.AlgorithmAES128, 16},
		"AES-192": {virtual.AlgorithmAES192, 24}, "AES-256": {virtual.AlgorithmAES256, 32},
	} {
		for _, q := range []virtual.Quirks{{}, {NoMetadata: true}, {NoMetadata: true, NoMutual: true}} {
			key := random(test.size)
			c := newCard(t, virtual.Options{Quirks: q, PIV: &virtual.PIV{Algorithm: test.algorithm, ManagementKey: key}})
			if err := openWith(t, c, piv.Config{ManagementKey: key}).Format(t.Context(), 4096); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			wrong := bytes.Clone(key)
			wrong[3] ^= 0x40
			m := openWith(t, c, piv.Config{ManagementKey: wrong, DefaultKey: true})
			want(t, m.Commit(t.Context(), 1, nil), card.ErrAdminKey)
			want(t, openWith(t, c, piv.Config{DefaultKey: true}).Commit(t.Context(), 1, nil), card.ErrAdminKey)
			m = openWith(t, c, piv.Config{})
			want(t, m.Commit(t.Context(), 1, nil), card.ErrAdminKeyNeeded)
			want(t, m.Format(t.Context(), 0), card.ErrReadOnly)
			_, err := m.Load(t.Context())
			want(t, err, card.ErrBlank)
			want(t, openWith(t, c, piv.Config{ManagementKey: key[:8]}).Commit(t.Context(), 1, nil), card.ErrAdminKey)
		}
	}
}

// TestFalseCard checks that a card which does not know the key is not written.
func TestFalseCard(t *testing.T) {
	c := newCard(t, virtual.Options{})
	key := random(24)
	other := newCard(t, virtual.Options{PIV: &virtual.PIV{ManagementKey: key}})
	for _, it := range []*virtual.Card{c, other} {
		it.Reset()
	}
	s := &slot{Card: c}
	m, err := piv.New(piv.Config{DefaultKey: true})(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	s.Card = other
	if err := m.Format(t.Context(), 0); err == nil {
		t.Fatal("another card was formatted")
	}
}

func TestPIN(t *testing.T) {
	image := filepath.Join(t.TempDir(), "card.json")
	c := newCard(t, virtual.Options{Image: image})
	m, ctx := open(t, c), t.Context()
	wantStatus(t, m, card.PINStatus{State: card.PINSet, Tries: 3})
	for _, bad := range []string{"", "12345", "123456789", "12345\xFF7"} {
		want(t, m.VerifyPIN(ctx, []byte(bad)), card.ErrPINFormat)
	}
	wantStatus(t, m, card.PINStatus{State: card.PINSet, Tries: 3})
	var wrong *card.PINError
	if err := m.VerifyPIN(ctx, []byte("999999")); !errors.As(err, &wrong) || wrong.Tries != 2 {
		t.Fatalf("got %v", err)
	}
	if err := m.VerifyPIN(ctx, []byte("123456")); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, m, card.PINStatus{State: card.PINSet, Tries: -1, Verified: true})
	if err := m.ChangePIN(ctx, []byte("123456"), []byte("87654321")); err != nil {
		t.Fatal(err)
	}
	want(t, m.SetPIN(ctx, []byte("123456")), card.ErrUnsupported)
	want(t, m.ClearPIN(ctx, []byte("87654321")), card.ErrUnsupported)
	for tries := 2; tries >= 0; tries-- {
		c = newCard(t, virtual.Options{Image: image}) // tries survive
		err := open(t, c).VerifyPIN(ctx, []byte("123456"))
		if !errors.As(err, &wrong) || wrong.Tries != tries || errors.Is(err, card.ErrPINBlocked) != (tries == 0) {
			t.Fatalf("got %v, want %d tries left", err, tries)
		}
	}
	m = open(t, c)
	wantStatus(t, m, card.PINStatus{State: card.PINBlocked})
	want(t, m.VerifyPIN(ctx, []byte("87654321")), card.ErrPINBlocked)
	want(t, m.ChangePIN(ctx, []byte("87654321"), []byte("123456")), card.ErrPINBlocked)
	want(t, m.UnblockPIN(ctx, []byte("00000000"), []byte("222222")), card.ErrPIN)
	if err := m.UnblockPIN(ctx, []byte(virtual.DefaultPUK), []byte("222222")); err != nil {
		t.Fatal(err)
	}
	if err := m.VerifyPIN(ctx, []byte("222222")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		want(t, m.UnblockPIN(ctx, []byte("00000000"), []byte("333333")), card.ErrPIN)
	}
	want(t, m.UnblockPIN(ctx, []byte(virtual.DefaultPUK), []byte("333333")), card.ErrPINBlocked)
	untouched(t, c)
}

// TestSecret checks that a secret is given away after the PIN only.
func TestSecret(t *testing.T) {
	c := newCard(t, virtual.Options{})
	m, ctx := open(t, c), t.Context()
	want(t, m.SetSecret(ctx, []byte("secret")), card.ErrPINNeeded)
	pin := []byte(virtual.DefaultPIN)
	if err := m.VerifyPIN(ctx, pin); err != nil {
		t.Fatal(err)
	}
	_, err := m.Secret(ctx)
	want(t, err, card.ErrNoSecret)
	want(t, m.SetSecret(ctx, make([]byte, 200)), card.ErrFull)
	if err := m.SetSecret(ctx, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	m = open(t, c)
	_, err = m.Secret(ctx)
	want(t, err, card.ErrPINNeeded)
	if err := m.VerifyPIN(ctx, pin); err != nil {
		t.Fatal(err)
	}
	if got, err := m.Secret(ctx); err != nil || string(got) != "secret" {
		t.Fatalf("got %q, %v", got, err)
	}
	if err := errors.Join(m.SetSecret(ctx, nil), c.SetObject(0x5FC109, []byte("printed"))); err != nil {
		t.Fatal(err)
	}
	want(t, m.SetSecret(ctx, []byte("secret")), card.ErrForeign)
	_, err = m.Secret(ctx)
	want(t, err, card.ErrNoSecret)
}

// TestKey makes a card key and has it sign, on cards that tell the public key
// themselves and on those that have only its certificate.
func TestKey(t *testing.T) {
	for name, q := range map[string]virtual.Quirks{"metadata": {}, "certificate": {NoMetadata: true}, "T=0": {T0: true, NoMetadata: true, ShortOnly: true}} {
		t.Run(name, func(t *testing.T) {
			image := filepath.Join(t.TempDir(), "card.json")
			c := newCard(t, virtual.Options{Quirks: q, Image: image})
			m, ctx := open(t, c), t.Context()
			_, err := m.PublicKey(ctx)
			want(t, err, card.ErrNoKey)
			_, err = m.Sign(ctx, []byte("challenge"))
			want(t, err, card.ErrNoKey)
			made, err := m.GenerateKey(ctx)
			if err != nil {
				t.Fatal(err)
			}
			m = openWith(t, newCard(t, virtual.Options{Quirks: q, Image: image}), piv.Config{}) // needs no key of ours
			public, err := m.PublicKey(ctx)
			if err != nil || !public.Equal(made) {
				t.Fatalf("another public key, %v", err)
			}
			signature, err := m.Sign(ctx, []byte("challenge"))
			if err != nil || !card.VerifyKey(public, []byte("challenge"), signature) {
				t.Fatalf("the signature does not verify: %v", err)
			}
			if card.VerifyKey(public, []byte("another"), signature) || card.VerifyKey(nil, []byte("challenge"), signature) {
				t.Fatal("the signature verifies for something else")
			}
			_, err = open(t, c).GenerateKey(ctx)
			want(t, err, card.ErrForeign)
			checkCertificate(t, c.Objects()[0x5FC101])
			untouched(t, c)
		})
	}
}

// checkCertificate checks what other programs will find.
func checkCertificate(t *testing.T, contents []byte) {
	t.Helper()
	if len(contents) < 200 || contents[0] != 0x70 || contents[1] != 0x82 || !bytes.HasSuffix(contents, []byte{0x71, 1, 0, 0xFE, 0}) {
		t.Fatalf("certificate object %x", contents)
	}
	certificate, err := x509.ParseCertificate(contents[4 : len(contents)-5])
	if err != nil {
		t.Fatal(err)
	}
	if err := certificate.CheckSignature(certificate.SignatureAlgorithm, certificate.RawTBSCertificate, certificate.Signature); err != nil {
		t.Fatal(err)
	}
}

// TestForeignKey checks that a key of somebody else is used, and never replaced.
func TestForeignKey(t *testing.T) {
	for _, q := range []virtual.Quirks{{}, {NoMetadata: true}} {
		c := newCard(t, virtual.Options{Quirks: q, PIV: &virtual.PIV{CardKey: true}})
		m := open(t, c)
		_, err := m.GenerateKey(t.Context())
		want(t, err, card.ErrForeign)
		if public, err := m.PublicKey(t.Context()); (err == nil) == q.NoMetadata {
			t.Errorf("got %v, %v", public, err)
		}
	}
	c := newCard(t, virtual.Options{})
	if err := c.SetObject(0x5FC101, []byte("somebody's certificate")); err != nil {
		t.Fatal(err)
	}
	_, err := open(t, c).GenerateKey(t.Context())
	want(t, err, card.ErrForeign)
}
