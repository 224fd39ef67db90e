package piv

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"fmt"
	"io"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/iso7816"
)

// The card authentication key, which needs no PIN, and its certificate.
const (
	keyCardAuthentication = 0x9E
	tagCertificate        = 0x5FC101
	algorithmP256         = 0x11
)

// Tags about keys and certificates.
const (
	tagCertificateData = 0x70
	tagCertificateInfo = 0x71
	tagErrorDetection  = 0xFE
	tagGenerate        = 0xAC
	tagAlgorithm       = 0x80
	tagPublicKey       = 0x7F49
	tagPoint           = 0x86
)

// maxCertificate bounds a certificate that is stored compressed, in bytes.
const maxCertificate = 64 << 10

// PublicKey implements card.Key. The card tells it itself, or has a certificate of it.
func (m *Medium) PublicKey(ctx context.Context) (*ecdsa.PublicKey, error) {
	public, err := m.publicKey(ctx)
	return public, failure("learn the card's public key", err)
}

func (m *Medium) publicKey(ctx context.Context) (*ecdsa.PublicKey, error) {
	told, err := m.metadata(ctx, keyCardAuthentication)
	if err != nil {
		return nil, err
	}
	if value, ok := findTLV(told, metadataPublicKey); ok {
		return parsePoint(value)
	}
	raw, err := m.get(ctx, tagCertificate)
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return nil, card.ErrNoKey
	}
	return keyOf(raw)
}

// parsePoint reads a public key on P-256 as PIV cards give it.
func parsePoint(value []byte) (*ecdsa.PublicKey, error) {
	point, ok := findTLV(value, tagPoint)
	if !ok {
		return nil, fmt.Errorf("%w: of another kind than ECC P-256", card.ErrNoKey)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", card.ErrNoKey, err)
	}
	return public, nil
}

// keyOf finds the public key in a certificate object.
func keyOf(raw []byte) (*ecdsa.PublicKey, error) {
	value, _ := findTLV(raw, tagValue)
	der, ok := findTLV(value, tagCertificateData)
	if !ok {
		return nil, card.ErrNoKey
	}
	if info, _ := findTLV(value, tagCertificateInfo); len(info) == 1 && info[0]&1 != 0 {
		var err error
		if der, err = unzip(der); err != nil {
			return nil, fmt.Errorf("%w: %w", card.ErrNoKey, err)
		}
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", card.ErrNoKey, err)
	}
	public, ok := certificate.PublicKey.(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: of another kind than ECC P-256", card.ErrNoKey)
	}
	return public, nil
}

func unzip(b []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(r, maxCertificate+1))
	if err == nil && len(out) > maxCertificate {
		err = errors.New("certificate too long")
	}
	return out, err
}

// Sign implements card.Key with the card authentication key.
func (m *Medium) Sign(ctx context.Context, challenge []byte) ([]byte, error) {
	digest := card.KeyDigest(challenge)
	signature, err := m.sign(ctx, digest[:])
	return signature, failure("sign with the card's key", err)
}

// sign signs a SHA-256 digest.
func (m *Medium) sign(ctx context.Context, digest []byte) ([]byte, error) {
	answer, err := m.authenticate(ctx, algorithmP256, keyCardAuthentication,
		appendTLV(appendTLV(nil, tagResponse, nil), tagChallenge, digest))
	if refused(err) {
		return nil, fmt.Errorf("%w: %w", card.ErrNoKey, err)
	}
	if err != nil {
		return nil, err
	}
	signature, ok := findTLV(answer, tagResponse)
	if !ok {
		return nil, fmt.Errorf("%w: no signature", iso7816.ErrMalformed)
	}
	return signature, nil
}

var _ card.Key = (*Medium)(nil)
