package card

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
)

// keyContext precedes what a card key signs, so that a signature made here is
// of use nowhere else, and no other here.
const keyContext = "reprovision card key 1\x00"

// Key is a Medium whose card holds a private key that signs without a PIN and
// never leaves it, so that who copied the data does not have the card.
type Key interface {
	// PublicKey is the public half, or ErrNoKey.
	PublicKey(ctx context.Context) (*ecdsa.PublicKey, error)

	// Sign signs a challenge; VerifyKey verifies. Without a key it gives ErrNoKey.
	Sign(ctx context.Context, challenge []byte) ([]byte, error)

	// GenerateKey makes the key on a card that has none, and gives ErrForeign
	// on one that has. Like writing, it may need the management key.
	GenerateKey(ctx context.Context) (*ecdsa.PublicKey, error)
}

// KeyDigest is what Sign signs for a challenge: the SHA-256 of a context string
// and the challenge.
func KeyDigest(challenge []byte) [sha256.Size]byte {
	return sha256.Sum256(append([]byte(keyContext), challenge...))
}

// VerifyKey tells whether signature, an ECDSA signature in ASN.1 DER, is that of
// the key's card for the challenge.
func VerifyKey(public *ecdsa.PublicKey, challenge, signature []byte) bool {
	if public == nil {
		return false
	}
	digest := KeyDigest(challenge)
	return ecdsa.VerifyASN1(public, digest[:], signature)
}
