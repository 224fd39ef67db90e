package session

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// The application protocols (ALPN). The first is for a device that is not yet
// pinned, and answered only while the pairing window is open; the second is for
// pinned peers.
const (
	alpnPairing = "reprovision-pair/1"
	alpnSession = "reprovision/1"
)

// The channel binding of RFC 9266.
const (
	exporterLabel  = "EXPORTER-Channel-Binding"
	exporterLength = 32
)

// certificate wraps an identity's public key in the smallest certificate that
// TLS takes. Nobody reads anything but the key; there is no name and no expiry
// (RFC 5280, 4.1.2.5) for a clock that is wrong to trip over.
func certificate(identity crypto.Signer) (tls.Certificate, error) {
	if identity == nil {
		return tls.Certificate{}, errors.New("no identity")
	}
	if _, ok := identity.Public().(ed25519.PublicKey); !ok {
		return tls.Certificate{}, errors.New("identity is not an Ed25519 key")
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, identity.Public(), identity)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: identity}, nil
}

// profile is what both sides' TLS has in common: version 1.3 alone, Go's
// default key exchange (hybrid, with ML-KEM-768), no resumption. Certificates
// are judged by verify alone, which sees the negotiated protocol, too.
func profile(cert tls.Certificate, protocols []string, verify func(tls.ConnectionState) error) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{cert},
		NextProtos:             protocols,
		SessionTicketsDisabled: true,
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // there is no CA: verify compares the key with the pin
		VerifyConnection:       verify,
	}
}

// peerKey is the one Ed25519 key that the peer showed.
func peerKey(cs tls.ConnectionState) (ed25519.PublicKey, error) {
	if len(cs.PeerCertificates) != 1 {
		return nil, fmt.Errorf("peer shows %d certificates, want 1", len(cs.PeerCertificates))
	}
	key, ok := cs.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("peer's key is not Ed25519")
	}
	return key, nil
}

// samePin compares the peer's SPKI with that of the pinned key, in constant time.
func samePin(cs tls.ConnectionState, pin ed25519.PublicKey) error {
	if _, err := peerKey(cs); err != nil {
		return err
	}
	want, err := x509.MarshalPKIXPublicKey(pin)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(cs.PeerCertificates[0].RawSubjectPublicKeyInfo, want) != 1 {
		return ErrWrongPeer
	}
	return nil
}

// exporter is the session's channel binding, 32 bytes.
func exporter(cs tls.ConnectionState) ([]byte, error) {
	return cs.ExportKeyingMaterial(exporterLabel, nil, exporterLength)
}
