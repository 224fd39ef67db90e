package session_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"testing"
	"time"
)

// shake makes a TLS client of its own for what Dial would never send.
func shake(t *testing.T, r *reader, change func(*tls.Config)) (*tls.Conn, error) {
	t.Helper()
	key := newKey(t)
	r.pair(key, "shaker")
	cfg := &tls.Config{
		InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{"reprovision/1"},
		Certificates: []tls.Certificate{selfSigned(t, key, public(key))},
	}
	change(cfg)
	tc := tls.Client(r.connect(t), cfg)
	_ = tc.SetDeadline(time.Now().Add(patience))
	if err := tc.Handshake(); err != nil {
		return nil, err
	}
	_, err := tc.Read(make([]byte, 1))
	return tc, err
}

func selfSigned(t *testing.T, signer any, pub any) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, pub, signer)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: signer}
}

func TestProfileIsStrict(t *testing.T) {
	r := newReader(t)
	r.window.set(true)
	if _, err := shake(t, r, func(*tls.Config) {}); err != nil {
		t.Fatalf("the plain client is refused: %v", err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	refused := map[string]func(*tls.Config){
		"TLS 1.2":         func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 },
		"no certificate":  func(c *tls.Config) { c.Certificates = nil },
		"no protocol":     func(c *tls.Config) { c.NextProtos = nil },
		"h2":              func(c *tls.Config) { c.NextProtos = []string{"h2"} },
		"an ECDSA key":    func(c *tls.Config) { c.Certificates = []tls.Certificate{selfSigned(t, ec, &ec.PublicKey)} },
		"two certificate": func(c *tls.Config) { twice(&c.Certificates[0]) },
		"a stolen certificate": func(c *tls.Config) {
			c.Certificates[0].PrivateKey = thief{Key: newKey(t), owner: c.Certificates[0].PrivateKey.(ed25519.PrivateKey)}
		},
	}
	for name, change := range refused {
		if conn, err := shake(t, r, change); err == nil {
			t.Errorf("%s: accepted (%v)", name, conn.ConnectionState().NegotiatedProtocol)
		}
	}
}

func twice(c *tls.Certificate) { c.Certificate = append(c.Certificate, c.Certificate[0]) }

// thief shows another's public key and signs with its own.
type thief struct {
	Key   ed25519.PrivateKey
	owner ed25519.PrivateKey
}

func (t thief) Public() crypto.PublicKey { return t.owner.Public() }

func (t thief) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return t.Key.Sign(r, digest, opts)
}

func TestKeyExchangeIsHybrid(t *testing.T) {
	r := newReader(t)
	conn, err := shake(t, r, func(*tls.Config) {})
	if err != nil {
		t.Fatal(err)
	}
	if id := conn.ConnectionState().CurveID; id != tls.X25519MLKEM768 {
		t.Errorf("key exchange %v; want X25519MLKEM768", id)
	}
}
