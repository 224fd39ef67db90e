package vault

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// ErrEncoding is wrapped when bytes are not the one allowed encoding of a value.
var ErrEncoding = errors.New("not the canonical encoding")

// encodeCBOR writes the core deterministic encoding of RFC 8949, section 4.2.
func encodeCBOR(v any) ([]byte, error) {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		return nil, fmt.Errorf("cannot encode: %w", err)
	}
	b, err := mode.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("cannot encode: %w", err)
	}
	return b, nil
}

func decodeMode() (cbor.DecMode, error) {
	return cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels:   maxCBORNested,
		MaxArrayElements:  maxElements,
		MaxMapPairs:       maxMapPairs,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
	}.DecMode()
}

// decodeCBOR reads exactly one value into v, a pointer, and accepts no other
// encoding of it than encodeCBOR's: no unknown or repeated keys, no padding.
func decodeCBOR(b []byte, v any) error {
	rest, err := decodeFirst(b, v)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%w: %d bytes too many", ErrEncoding, len(rest))
	}
	return err
}

// decodeFirst is decodeCBOR for the first value of a CBOR sequence (RFC 8742);
// it returns what follows.
func decodeFirst(b []byte, v any) (rest []byte, err error) {
	mode, err := decodeMode()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	rest, err = mode.UnmarshalFirst(b, v)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	again, err := encodeCBOR(v)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	if !bytes.Equal(again, b[:len(b)-len(rest)]) {
		return nil, ErrEncoding
	}
	return rest, nil
}
