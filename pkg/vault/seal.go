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
	if len(plain) > MaxBlob-2*SealOverhead { // the other is for the outer layer
		return nil, fmt.Errorf("cannot seal a %s of %d bytes: %w", kind, len(plain), ErrLimit)
	}
	return seal(k.seal, sealFormat, kind, vault, id, plain)
}

// Open decrypts what Seal sealed for the same kind, vault and id, with this key or
// an older one of the vault's. Every failure wraps ErrSealBroken.
func (k Key) Open(kind Kind, vault VaultID, id BlobID, sealed []byte) ([]byte, error) {
	if err := k.check(); err != nil {
		return nil, fmt.Errorf("%w: cannot open %s %s: %w", ErrSealBroken, kind, id, err)
	}
	ages := append([]Key{k}, k.older...)
	if len(sealed) > 0 && sealed[0] == outerFormat {
		inner, err := k.unwrap(ages, kind, vault, id, sealed)
		if err != nil {
			return nil, err
		}
		sealed = inner
	}
	var err error
	for _, age := range ages {
		var plain []byte
		if plain, err = open(age.seal, sealFormat, kind, vault, id, sealed); err == nil {
			return plain, nil
		}
	}
	return nil, err
}

// unwrap takes the outer layer off, whichever age's it is: a rotation may be under way.
func (k Key) unwrap(ages []Key, kind Kind, vault VaultID, id BlobID, sealed []byte) (inner []byte, err error) {
	for _, age := range ages {
		if inner, err = open(age.outer, outerFormat, kind, vault, id, sealed); err == nil {
			return inner, nil
		}
	}
	return nil, err
}

// open opens one layer.
func open(key [KeySize]byte, format byte, kind Kind, vault VaultID, id BlobID, sealed []byte) ([]byte, error) {
	if len(sealed) < SealOverhead || len(sealed) > MaxBlob {
		return nil, fmt.Errorf("%w: cannot open %s %s of %d bytes", ErrSealBroken, kind, id, len(sealed))
	}
	if sealed[0] != format || sealed[1] != byte(kind) {
		return nil, fmt.Errorf("%w: cannot open %s %s: it is of format %d and %s", ErrSealBroken, kind, id, sealed[0], Kind(sealed[1]))
	}
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		return nil, fmt.Errorf("%w: cannot open %s %s: %w", ErrSealBroken, kind, id, err)
	}
	plain, err := aead.Open(nil, sealed[2:sealPrefix], sealed[sealPrefix:], layerContext(format, kind, vault, id))
	if err != nil {
		return nil, fmt.Errorf("%w: cannot open %s %s: %w", ErrSealBroken, kind, id, err)
	}
	return plain, nil
}

// seal makes one layer.
func seal(key [KeySize]byte, format byte, kind Kind, vault VaultID, id BlobID, plain []byte) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		return nil, fmt.Errorf("cannot seal a %s: %w", kind, err)
	}
	out := make([]byte, sealPrefix, SealOverhead+len(plain))
	out[0], out[1] = format, byte(kind)
	rand.Read(out[2:]) // never fails
	return aead.Seal(out, out[2:sealPrefix], plain, layerContext(format, kind, vault, id)), nil
}

// layerContext is the associated data that binds a layer to its place.
func layerContext(format byte, kind Kind, vault VaultID, id BlobID) []byte {
	b := append([]byte(sealMagic), format, byte(kind))
	b = append(b, vault[:]...)
	return append(b, id[:]...)
}
