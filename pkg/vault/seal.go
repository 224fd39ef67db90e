package vault

import (
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// Kind says what a sealed blob holds.
type Kind uint8

// The kinds of blob.
const (
	KindPack   Kind = 1 // contents of items
	KindIndex  Kind = 2 // a list of items, or a change to one
	KindHeader Kind = 3 // what a snapshot consists of
)

// String names the kind.
func (k Kind) String() string {
	switch k {
	case KindPack:
		return "pack"
	case KindIndex:
		return "index"
	case KindHeader:
		return "header"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// ErrSealBroken is wrapped whenever a sealed blob does not open: another key,
// vault, id or kind than it was sealed for, or changed bytes.
var ErrSealBroken = errors.New("seal broken")

const (
	sealMagic  = "RPVB"
	sealFormat = 1
	sealPrefix = 2 + chacha20poly1305.NonceSizeX
	// SealOverhead is by how many bytes a sealed blob exceeds what it holds.
	SealOverhead = sealPrefix + chacha20poly1305.Overhead
)

// Seal encrypts plain with XChaCha20-Poly1305 under a random nonce. The result
// opens only for the same kind, vault and id:
//
//	format (1 byte) | kind (1 byte) | nonce (24 bytes) | ciphertext and tag
func (k Key) Seal(kind Kind, vault VaultID, id BlobID, plain []byte) ([]byte, error) {
	if err := k.check(); err != nil {
		return nil, fmt.Errorf("cannot seal a %s: %w", kind, err)
	}
	if len(plain) > MaxBlob-SealOverhead {
		return nil, fmt.Errorf("cannot seal a %s of %d bytes: %w", kind, len(plain), ErrLimit)
	}
	aead, err := chacha20poly1305.NewX(k.seal[:])
	if err != nil {
		return nil, fmt.Errorf("cannot seal a %s: %w", kind, err)
	}
	out := make([]byte, sealPrefix, SealOverhead+len(plain))
	out[0], out[1] = sealFormat, byte(kind)
	rand.Read(out[2:]) // never fails
	return aead.Seal(out, out[2:sealPrefix], plain, sealContext(kind, vault, id)), nil
}

// Open decrypts what Seal sealed for the same kind, vault and id. Every failure
// wraps ErrSealBroken.
func (k Key) Open(kind Kind, vault VaultID, id BlobID, sealed []byte) ([]byte, error) {
	if err := k.check(); err != nil {
		return nil, fmt.Errorf("%w: cannot open %s %s: %w", ErrSealBroken, kind, id, err)
	}
	if len(sealed) < SealOverhead || len(sealed) > MaxBlob {
		return nil, fmt.Errorf("%w: cannot open %s %s of %d bytes", ErrSealBroken, kind, id, len(sealed))
	}
	if sealed[0] != sealFormat || sealed[1] != byte(kind) {
		return nil, fmt.Errorf("%w: cannot open %s %s: it is of format %d and %s", ErrSealBroken, kind, id, sealed[0], Kind(sealed[1]))
	}
	aead, err := chacha20poly1305.NewX(k.seal[:])
	if err != nil {
		return nil, fmt.Errorf("%w: cannot open %s %s: %w", ErrSealBroken, kind, id, err)
	}
	plain, err := aead.Open(nil, sealed[2:sealPrefix], sealed[sealPrefix:], sealContext(kind, vault, id))
	if err != nil {
		return nil, fmt.Errorf("%w: cannot open %s %s: %w", ErrSealBroken, kind, id, err)
	}
	return plain, nil
}

// sealContext is the associated data that binds a blob to its place.
func sealContext(kind Kind, vault VaultID, id BlobID) []byte {
	b := append([]byte(sealMagic), sealFormat, byte(kind))
	b = append(b, vault[:]...)
	return append(b, id[:]...)
}
