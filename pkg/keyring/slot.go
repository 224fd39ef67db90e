package keyring

import (
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/sha256"
	"errors"
	"fmt"
)

// ErrSlot is wrapped by the error about a key slot that does not open: another
// secret, vault or kind than it was sealed for, or changed bytes.
var ErrSlot = errors.New("key slot does not open")

const (
	slotInfo   = "reprovision slot v1"
	slotFormat = 1
	maxSlot    = maxBundle + 4<<10 // bytes
)

// slotKEM is X-Wing, so that a slot that was copied today stays closed to a
// quantum computer, as a recorded session does.
func slotKEM() hpke.KEM { return hpke.MLKEM768X25519() }

// SlotKey opens slots of one kind. It comes from the export key of OPAQUE, and so
// from what the owner types, or from the secret that a card gives away after its PIN.
type SlotKey struct {
	kind    string
	private hpke.PrivateKey
}

// minSecret is the least bytes that the key of a slot is made of: never a PIN.
const minSecret = 16

// NewSlotKey derives the key of a kind of slot from an export key, or from a secret of
// the card's.
func NewSlotKey(kind string, exportKey []byte) (SlotKey, error) {
	if len(exportKey) < minSecret {
		return SlotKey{}, fmt.Errorf("cannot derive the key of a slot: a secret of %d bytes", len(exportKey))
	}
	seed, err := hkdf.Key(sha256.New, exportKey, nil, slotInfo+" "+kind, 32)
	if err != nil {
		return SlotKey{}, fmt.Errorf("cannot derive the key of a slot: %w", err)
	}
	defer clear(seed)
	private, err := slotKEM().DeriveKeyPair(seed)
	if err != nil {
		return SlotKey{}, fmt.Errorf("cannot derive the key of a slot: %w", err)
	}
	return SlotKey{kind: kind, private: private}, nil
}

// Recipient is the public half, for Bundle.Recipients.
func (k SlotKey) Recipient() []byte { return k.private.PublicKey().Bytes() }

// Open opens the slot of a vault; every failure wraps ErrSlot or ErrBundle.
func (k SlotKey) Open(vault [16]byte, slot []byte) (Bundle, error) {
	if len(slot) == 0 || len(slot) > maxSlot || slot[0] != slotFormat {
		return Bundle{}, fmt.Errorf("%w: %d bytes", ErrSlot, len(slot))
	}
	plain, err := hpke.Open(k.private, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), slotContext(vault, k.kind), slot[1:])
	if err != nil {
		return Bundle{}, ErrSlot
	}
	defer clear(plain)
	return DecodeBundle(plain)
}

// SealSlot makes the contents of the slot of a kind that is one of the bundle's
// recipients: format (1 byte) | HPKE's encapsulated key and ciphertext.
func (b Bundle) SealSlot(vault [16]byte, kind string) ([]byte, error) {
	public, err := slotKEM().NewPublicKey(b.Recipients[kind])
	if err != nil {
		return nil, fmt.Errorf("cannot seal a %s slot: %w", kind, err)
	}
	plain, err := b.Encode()
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	sealed, err := hpke.Seal(public, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), slotContext(vault, kind), plain)
	if err != nil {
		return nil, fmt.Errorf("cannot seal a %s slot: %w", kind, err)
	}
	return append([]byte{slotFormat}, sealed...), nil
}

func slotContext(vault [16]byte, kind string) []byte {
	return append(append([]byte(slotInfo), vault[:]...), kind...)
}
