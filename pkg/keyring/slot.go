package keyring

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

const (
	slotFile    = "slot.json"
	slotVersion = 1
	maxSlot     = 1024
)

// SlotCardPIN is the kind of key slot whose secret the card gives away after its PIN.
const SlotCardPIN = "card-pin"

// The bytes of a card-pin slot: format, nonce, sealed vault key.
const (
	pinSlotFormat = 1
	pinSlotInfo   = "reprovision card-pin slot 1"
	pinSlotLength = 1 + chacha20poly1305.NonceSizeX + vaultKeyLength + chacha20poly1305.Overhead
	minSecret     = 16 // bytes
)

// Errors about key slots.
var (
	// ErrNoSlot is returned by Slot when the owner chose no passcode.
	ErrNoSlot = errors.New("no key slot on this device")
	// ErrSlot means that a key slot does not open with that secret.
	ErrSlot = errors.New("the key slot does not open")
)

// SealSlot wraps the key of a vault with a secret of the card's: at least 16
// bytes, and never the PIN, which is short.
func SealSlot(secret []byte, vaultID [16]byte, key []byte) ([]byte, error) {
	if len(key) != vaultKeyLength {
		return nil, fmt.Errorf("cannot make a key slot: a vault key of %d bytes", len(key))
	}
	aead, err := slotCipher(secret, vaultID)
	if err != nil {
		return nil, fmt.Errorf("cannot make a key slot: %w", err)
	}
	b := make([]byte, 1+chacha20poly1305.NonceSizeX, pinSlotLength)
	b[0] = pinSlotFormat
	if _, err := rand.Read(b[1:]); err != nil {
		return nil, fmt.Errorf("cannot make a key slot: %w", err)
	}
	return aead.Seal(b, b[1:], key, slotData(vaultID)), nil
}

// OpenSlot is the reverse of SealSlot; ErrSlot for another secret or vault, and
// for bytes that are no slot.
func OpenSlot(secret []byte, vaultID [16]byte, slot []byte) ([]byte, error) {
	if len(slot) != pinSlotLength || slot[0] != pinSlotFormat {
		return nil, ErrSlot
	}
	aead, err := slotCipher(secret, vaultID)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSlot, err)
	}
	nonce := slot[1 : 1+chacha20poly1305.NonceSizeX]
	key, err := aead.Open(nil, nonce, slot[1+chacha20poly1305.NonceSizeX:], slotData(vaultID))
	if err != nil {
		return nil, ErrSlot
	}
	return key, nil
}

func slotCipher(secret []byte, vaultID [16]byte) (cipher.AEAD, error) {
	if len(secret) < minSecret {
		return nil, fmt.Errorf("a secret of %d bytes", len(secret))
	}
	key, err := hkdf.Key(sha256.New, secret, vaultID[:], pinSlotInfo, chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return chacha20poly1305.NewX(key)
}

// slotData is bound into a slot.
func slotData(vaultID [16]byte) []byte {
	return append([]byte{'R', 'P', 'C', 'P', pinSlotFormat}, vaultID[:]...)
}

// slotDocument says that the owner chose a passcode, and how the vault's slot
// looks, so that a reader that lost it gets the same again and never one that is
// open to everybody.
type slotDocument struct {
	Version int    `json:"version"`
	Vault   []byte `json:"vault"` // 16 bytes, base64
	Kind    string `json:"kind"`
	Slot    []byte `json:"slot"` // base64
}

// SetSlot remembers the key slot of a vault, durably.
func (k *Keyring) SetSlot(vaultID [16]byte, kind string, slot []byte) error {
	data, err := encode(slotDocument{Version: slotVersion, Vault: vaultID[:], Kind: kind, Slot: slot})
	if err == nil {
		err = k.locked(func() error { return k.write(slotFile, data) })
	}
	if err != nil {
		return fmt.Errorf("cannot store key slot: %w", err)
	}
	return nil
}

// Slot returns what SetSlot stored; ErrNoSlot, wrapped, where there is none.
func (k *Keyring) Slot() (vaultID [16]byte, kind string, slot []byte, err error) {
	data, err := k.read(slotFile)
	if missing(err) {
		err = ErrNoSlot
	}
	var doc slotDocument
	if err == nil {
		doc, err = parseSlot(data)
	}
	if err != nil {
		return vaultID, "", nil, fmt.Errorf("cannot load key slot: %w", err)
	}
	return [16]byte(doc.Vault), doc.Kind, doc.Slot, nil
}

func parseSlot(data []byte) (slotDocument, error) {
	var doc slotDocument
	if err := decode(slotFile, data, &doc); err != nil {
		return slotDocument{}, err
	}
	if doc.Version != slotVersion || len(doc.Vault) != 16 || doc.Kind == "" || len(doc.Slot) > maxSlot {
		return slotDocument{}, fmt.Errorf("%w: %s has wrong lengths or version", ErrCorrupt, slotFile)
	}
	return doc, nil
}

// ClearSlot forgets the slot; that there is none is no error.
func (k *Keyring) ClearSlot() error {
	if err := k.locked(func() error { return k.remove(slotFile) }); err != nil {
		return fmt.Errorf("cannot forget key slot: %w", err)
	}
	return nil
}
