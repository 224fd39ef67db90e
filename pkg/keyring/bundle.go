package keyring

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/fxamacker/cbor/v2"
)

// The kinds of key slot that the keyring knows how to fill (design: LUKS-like
// slots). Others may lie beside them.
const (
	SlotReader   = "reader"   // the bundle itself, for an owner who chose no passcode
	SlotPasscode = "passcode" // sealed to the reprovisioning passcode
	SlotRecovery = "recovery" // sealed to the recovery code
	SlotCardPIN  = "card-pin" // sealed to what the card gives away after its PIN
)

const (
	bundleFormat = 1
	// MaxKeys is how many keys a vault may have had: each rotation adds one.
	MaxKeys = 64
	// maxRecipients is how many slots a bundle can be sealed to.
	maxRecipients = 8
	maxBundle     = 12 << 10 // bytes, encoded
)

// ErrBundle is wrapped by the error about bytes that are no bundle.
var ErrBundle = errors.New("not a bundle of vault keys")

// Bundle is what a key slot opens to: all keys of the vault, and what the next
// bundle is sealed to. Whoever holds it can add keys and reseal every slot, but
// cannot open what is sealed after that.
type Bundle struct {
	Keys       [][]byte          // of 32 bytes each, the newest first; one at least
	Recipients map[string][]byte // kind of slot: SlotKey.Recipient. They are kept from the reader.
	Epoch      uint64            // one more with each change of the slots
}

type bundleWire struct {
	Format     uint8             `cbor:"1,keyasint"`
	Keys       []byte            `cbor:"2,keyasint"`
	Recipients map[string][]byte `cbor:"3,keyasint,omitempty"`
	Epoch      uint64            `cbor:"4,keyasint,omitempty"`
}

// Clone copies what a caller could change.
func (b Bundle) Clone() Bundle {
	c := Bundle{Epoch: b.Epoch, Recipients: make(map[string][]byte, len(b.Recipients))}
	for _, k := range b.Keys {
		c.Keys = append(c.Keys, bytes.Clone(k))
	}
	for kind, pub := range b.Recipients {
		c.Recipients[kind] = bytes.Clone(pub)
	}
	return c
}

// Kinds lists the kinds of slot that the bundle is to be sealed to, sorted.
func (b Bundle) Kinds() []string { return slices.Sorted(maps.Keys(b.Recipients)) }

func (b Bundle) check() error {
	if len(b.Keys) == 0 || len(b.Keys) > MaxKeys || len(b.Recipients) > maxRecipients {
		return fmt.Errorf("%w: %d keys, %d recipients", ErrBundle, len(b.Keys), len(b.Recipients))
	}
	for _, k := range b.Keys {
		if len(k) != vaultKeyLength {
			return fmt.Errorf("%w: a key of %d bytes", ErrBundle, len(k))
		}
	}
	for kind, pub := range b.Recipients {
		if kind == "" || len(kind) > 32 {
			return fmt.Errorf("%w: a recipient of an impossible kind", ErrBundle)
		}
		if _, _, err := splitRecipient(pub); err != nil {
			return fmt.Errorf("%w: a recipient without a public key", ErrBundle)
		}
	}
	return nil
}

// EncodeOpen is what goes into the reader slot: without the recipients. Whoever knew
// those could put a bundle of their own into a slot.
func (b Bundle) EncodeOpen() ([]byte, error) {
	b.Recipients = nil
	return b.Encode()
}

// Encode is what goes, sealed, into a slot.
func (b Bundle) Encode() ([]byte, error) {
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("cannot encode vault keys: %w", err)
	}
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		return nil, err
	}
	return mode.Marshal(bundleWire{Format: bundleFormat, Keys: slices.Concat(b.Keys...), Recipients: b.Recipients, Epoch: b.Epoch})
}

// DecodeBundle reads what Encode wrote, or the bare key of 32 bytes that a reader
// slot once held. Errors wrap ErrBundle and tell nothing of the bytes.
func DecodeBundle(data []byte) (Bundle, error) {
	if len(data) == vaultKeyLength {
		return Bundle{Keys: [][]byte{bytes.Clone(data)}, Recipients: map[string][]byte{}}, nil
	}
	var w bundleWire
	if err := decodeStrictly(data, maxBundle, &w); err != nil {
		return Bundle{}, ErrBundle
	}
	if w.Format != bundleFormat || len(w.Keys)%vaultKeyLength != 0 {
		return Bundle{}, fmt.Errorf("%w: format %d", ErrBundle, w.Format)
	}
	b := Bundle{Keys: slices.Collect(slices.Chunk(w.Keys, vaultKeyLength)), Recipients: w.Recipients, Epoch: w.Epoch}
	if err := b.check(); err != nil {
		return Bundle{}, err
	}
	return b.Clone(), nil
}

// decodeStrictly reads CBOR that has to be just what its Go type says.
func decodeStrictly(data []byte, limit int, v any) error {
	if len(data) > limit {
		return fmt.Errorf("%d bytes are more than %d", len(data), limit)
	}
	mode, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, MaxNestedLevels: 4, MaxArrayElements: 16, MaxMapPairs: 16,
	}.DecMode()
	if err != nil {
		return err
	}
	return mode.Unmarshal(data, v)
}
