package authorization

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/card"
)

// ChallengeSize is the number of bytes of a heartbeat's challenge.
const ChallengeSize = 32

// messageContext is the domain of what a card signs in answer to a challenge.
const messageContext = "reprovision heartbeat 1\x00"

// Errors of Verify.
var (
	// ErrOtherCard means that the card in the reader is not the owner's.
	ErrOtherCard = errors.New("not the owner's card")
	// ErrUnproven means that the card did not sign the challenge: what answers has
	// its data, or a copy of them, and not the card.
	ErrUnproven = errors.New("the card did not prove to be the owner's")
	// ErrNoRecord means that the owner's card does not hold a record that this
	// device made for it.
	ErrNoRecord = errors.New("the card holds no authorization of this device")
)

// NewChallenge draws a challenge. It serves once.
func NewChallenge() ([]byte, error) {
	b := make([]byte, ChallengeSize)
	if _, err := rand.Read(b); err != nil {
		return nil, fmt.Errorf("cannot draw a challenge: %w", err)
	}
	return b, nil
}

// Message is what a card signs, by card.Key, in answer to a challenge: the domain,
// the challenge, the vault, the digest of the record that the card holds, and the
// card's identity.
func Message(challenge []byte, vault [16]byte, identity string, record []byte) []byte {
	digest := sha256.Sum256(record)
	b := append([]byte(messageContext), challenge...)
	b = append(append(b, vault[:]...), digest[:]...)
	return append(b, identity...)
}

// Proof is what a reader answers to a challenge, of the card that is in it now.
type Proof struct {
	Card      Card
	Record    []byte // nil if the card has none
	Signature []byte // of Message by the card's key; nil for a card without
}

// Owner is what a device knows of itself and of its owner's card.
type Owner struct {
	Device ed25519.PublicKey
	Vault  [16]byte
	Card   Card // as pinned
}

// Same tells whether two cards are one: by their keys where the first has one,
// since formatting changes the identity, else by their identities.
func (c Card) Same(other Card) bool {
	if c.Key == nil || other.Key == nil {
		return c.Key == other.Key && c.Identity == other.Identity
	}
	return c.Key.Equal(other.Key)
}

// Verify tells whether the owner's card answered the challenge. Its errors are
// ErrOtherCard, ErrUnproven and, for the owner's card without a record of this
// device's for it, ErrNoRecord.
func (o Owner) Verify(challenge []byte, p Proof) error {
	if !o.Card.Same(p.Card) {
		return ErrOtherCard
	}
	if !proven(o.Card.Key, Message(challenge, o.Vault, p.Card.Identity, p.Record), p.Signature) {
		return ErrUnproven
	}
	r, err := ParseRecord(p.Record)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoRecord, err)
	}
	if !r.SignedBy(o.Device) || r.Vault != o.Vault || r.Card.Identity != p.Card.Identity || !r.Card.Same(o.Card) {
		return ErrNoRecord
	}
	return nil
}

// proven is true for a card without a key: there is nothing more to ask of it.
func proven(key *ecdsa.PublicKey, message, signature []byte) bool {
	return key == nil || card.VerifyKey(key, message, signature)
}
