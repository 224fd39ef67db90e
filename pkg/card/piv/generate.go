package piv

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/iso7816"
)

// GenerateKey implements card.Key: it makes a key on ECC P-256 in slot 9E, and
// puts a certificate by itself where the standard has the one of that key, so
// that every program finds the public half.
func (m *Medium) GenerateKey(ctx context.Context) (*ecdsa.PublicKey, error) {
	public, err := m.generateKey(ctx)
	return public, failure("make a card key", err)
}

func (m *Medium) generateKey(ctx context.Context) (*ecdsa.PublicKey, error) {
	if err := m.mayGenerate(ctx); err != nil {
		return nil, err
	}
	if err := m.authorize(ctx); err != nil {
		return nil, err
	}
	r, err := m.link.Exchange(ctx, iso7816.Command{
		INS: insGenerate, P2: keyCardAuthentication, Ne: iso7816.MaxShortResponse,
		Data: appendTLV(nil, tagGenerate, appendTLV(nil, tagAlgorithm, []byte{algorithmP256})),
	})
	if err != nil {
		return nil, m.explain(ctx, err)
	}
	value, _ := findTLV(r.Data, tagPublicKey)
	public, err := parsePoint(value)
	if err != nil {
		return nil, err
	}
	der, err := selfSigned(&signer{ctx, m, public})
	if err != nil {
		return nil, err
	}
	contents := appendTLV(appendTLV(nil, tagCertificateData, der), tagCertificateInfo, []byte{0})
	if err := m.put(ctx, tagCertificate, appendTLV(contents, tagErrorDetection, nil)); err != nil {
		return nil, fmt.Errorf("cannot keep its certificate: %w", m.explain(ctx, err))
	}
	return public, nil
}

// mayGenerate gives ErrForeign where a key or its certificate is there already.
func (m *Medium) mayGenerate(ctx context.Context) error {
	raw, err := m.get(ctx, tagCertificate)
	if err != nil {
		return err
	}
	if raw != nil {
		return fmt.Errorf("%w: object %06X holds something", card.ErrForeign, tagCertificate)
	}
	taken := fmt.Errorf("%w: slot %02X has a key", card.ErrForeign, keyCardAuthentication)
	told, err := m.metadata(ctx, keyCardAuthentication)
	switch {
	case err != nil:
		return err
	case len(told) > 0:
		return taken
	}
	_, err = m.sign(ctx, make([]byte, 32)) // all that other cards can be asked
	switch {
	case err == nil:
		return taken
	case errors.Is(err, card.ErrNoKey):
		return nil
	}
	return err
}

// selfSigned makes a certificate without an end, with the card as its signer.
func selfSigned(key crypto.Signer) ([]byte, error) {
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "reprovision card key"},
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:  time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280, 4.1.2.5
		KeyUsage:  x509.KeyUsageDigitalSignature,
	}
	return x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
}

// signer is the card's key as a crypto.Signer for the length of a call.
type signer struct {
	ctx    context.Context
	medium *Medium
	public *ecdsa.PublicKey
}

func (s *signer) Public() crypto.PublicKey { return s.public }

func (s *signer) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	return s.medium.sign(s.ctx, digest)
}
