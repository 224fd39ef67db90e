package keyring

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
)

const (
	identityFile = "identity.pem"
	pemType      = "PRIVATE KEY"
)

// Identity is the key by which this host is known to its peers.
type Identity struct {
	key ed25519.PrivateKey
}

// Signer signs with the identity's private key; its Public is an
// ed25519.PublicKey.
func (i Identity) Signer() crypto.Signer { return i.key }

// Public is the key that peers pin.
func (i Identity) Public() ed25519.PublicKey { return i.key.Public().(ed25519.PublicKey) }

// ID is the identity's short name: see PeerID.
func (i Identity) ID() string { return PeerID(i.Public()) }

// SPKI is the public key as a DER SubjectPublicKeyInfo (RFC 8410), 44 bytes; nil
// for what is no Ed25519 key.
func SPKI(pub ed25519.PublicKey) []byte {
	if len(pub) != ed25519.PublicKeySize {
		return nil
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil
	}
	return der
}

// PeerID is the short name of a public key: the first 16 bytes of the SHA-256 of
// its SPKI, in 32 hexadecimal digits.
func PeerID(pub ed25519.PublicKey) string {
	sum := sha256.Sum256(SPKI(pub))
	return hex.EncodeToString(sum[:16])
}

// Identity returns this host's identity, which it makes on first use. A file
// that is there and cannot be read is an error: it is never replaced, for that
// would unpair every peer.
func (k *Keyring) Identity() (Identity, error) {
	var id Identity
	err := k.locked(func() error {
		data, err := k.read(identityFile)
		if missing(err) {
			id, err = k.makeIdentity()
			return err
		}
		if err != nil {
			return err
		}
		id, err = parseIdentity(data)
		return err
	})
	if err != nil {
		return Identity{}, fmt.Errorf("cannot load identity: %w", err)
	}
	return id, nil
}

func (k *Keyring) makeIdentity() (Identity, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Identity{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Identity{}, err
	}
	data := pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})
	return Identity{key: key}, k.write(identityFile, data)
}

func parseIdentity(data []byte) (Identity, error) {
	block, rest := pem.Decode(data)
	if block == nil || block.Type != pemType || len(block.Headers) != 0 || len(rest) != 0 {
		return Identity{}, fmt.Errorf("%w: %s is not one PEM private key", ErrCorrupt, identityFile)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %s is not PKCS #8", ErrCorrupt, identityFile)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return Identity{}, fmt.Errorf("%w: %s is not an Ed25519 key", ErrCorrupt, identityFile)
	}
	return Identity{key: key}, nil
}
