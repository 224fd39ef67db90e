package keyring

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/sha256"
	"errors"
	"fmt"
)

// ErrSlot is wrapped by the error about a key slot that does not open: another
// secret, vault or kind than it was sealed for, or changed bytes.
var ErrSlot = errors.New("key slot does not open")

const (
	slotInfo   = "reprovision slot v2"
	authInfo   = "reprovision slot v2 author"
	slotFormat = 2
	authSize   = 32                // bytes
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
	// author authenticates what the slot holds. A public key alone would let anybody who
	// has seen it, and can write at the reader, put a bundle of their own there.
	author []byte
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
	author, err := hkdf.Key(sha256.New, exportKey, nil, authInfo+" "+kind, authSize)
	if err != nil {
		return SlotKey{}, fmt.Errorf("cannot derive the key of a slot: %w", err)
	}
	return SlotKey{kind: kind, private: private, author: author}, nil
}

// Recipient is what a bundle is sealed to, and authenticated with, for
// Bundle.Recipients: public key, and 32 bytes that are secret to the owner's devices.
func (k SlotKey) Recipient() []byte { return append(k.private.PublicKey().Bytes(), k.author...) }

// splitRecipient is the reverse of Recipient.
func splitRecipient(b []byte) (public hpke.PublicKey, author []byte, err error) {
	if len(b) <= authSize {
		return nil, nil, ErrBundle
	}
	at := len(b) - authSize
	public, err = slotKEM().NewPublicKey(b[:at])
	return public, b[at:], err
}

// authenticate is the first part of what is sealed: HMAC-SHA256 over the bundle and its place.
func authenticate(author []byte, vault [16]byte, kind string, bundle []byte) []byte {
	mac := hmac.New(sha256.New, author)
	mac.Write(slotContext(vault, kind))
	mac.Write([]byte{0}) // no kind has it
	mac.Write(bundle)
	return mac.Sum(nil)
}

// Open opens the slot of a vault; every failure wraps ErrSlot or ErrBundle.
func (k SlotKey) Open(vault [16]byte, slot []byte) (Bundle, error) {
	plain, err := k.unseal(vault, slot)
	if err != nil {
		return Bundle{}, err
	}
	defer clear(plain)
	return DecodeBundle(plain[sha256.Size:])
}

// Opens tells whether it is the key of a vault's slot. Nothing of what the slot holds
// is given away, or kept in memory.
func (k SlotKey) Opens(vault [16]byte, slot []byte) bool {
	plain, err := k.unseal(vault, slot)
	clear(plain)
	return err == nil
}

// unseal gives the author's tag and the bundle behind it.
func (k SlotKey) unseal(vault [16]byte, slot []byte) ([]byte, error) {
	if len(slot) == 0 || len(slot) > maxSlot || slot[0] != slotFormat {
		return nil, fmt.Errorf("%w: %d bytes", ErrSlot, len(slot))
	}
	plain, err := hpke.Open(k.private, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), slotContext(vault, k.kind), slot[1:])
	if err != nil {
		return nil, ErrSlot
	}
	if len(plain) < sha256.Size || !hmac.Equal(plain[:sha256.Size], authenticate(k.author, vault, k.kind, plain[sha256.Size:])) {
		clear(plain)
		return nil, fmt.Errorf("%w: it is not the owner's", ErrSlot)
	}
	return plain, nil
}

// SealSlot makes the contents of the slot of a kind that is one of the bundle's
// recipients: format (1 byte) | HPKE's encapsulated key and ciphertext of a tag of 32
// bytes and the bundle.
func (b Bundle) SealSlot(vault [16]byte, kind string) ([]byte, error) {
	public, author, err := splitRecipient(b.Recipients[kind])
	if err != nil {
		return nil, fmt.Errorf("cannot seal a %s slot: %w", kind, err)
	}
	plain, err := b.Encode()
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	plain = append(authenticate(author, vault, kind, plain), plain...)
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
