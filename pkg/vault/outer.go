package vault

import (
	"errors"
	"fmt"
	"log/slog"
)

// outerFormat marks a blob with an outer layer; its contents are a whole blob of
// sealFormat.
const outerFormat = 2

// Outer is the key of the outer layer. When a vault's key is rotated, the reader
// puts this layer around all that it holds, so that nothing has to be sent again
// and yet the old key alone opens nothing any more. The layer hides what is sealed
// already: who knows Outer and not the key below has nothing. The zero Outer is none.
type Outer [KeySize]byte

// Format keeps the key out of logs and errors.
func (o Outer) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("outer key")) }

// LogValue keeps the key out of structured logs.
func (o Outer) LogValue() slog.Value { return slog.StringValue("outer key") }

// IsZero tells whether it is no key.
func (o Outer) IsZero() bool { return o == Outer{} }

// ErrTraces says that a rotation or a deletion is done, and that of what was there before
// something may be left on the medium.
var ErrTraces = errors.New("done, but what was there before could not be overwritten")

// Rotator is a Store that can change how what it holds is sealed.
type Rotator interface {
	// Rotate replaces owner, label and slots of a vault, and rewraps its blobs and
	// headers where the rotation has a key, all at once. Nothing of what was
	// replaced is left in the store's file. With an error that wraps ErrTraces it is
	// done all the same; with any other, nothing was changed.
	Rotate(r Record, rot Rotation) error
}

// Rotation is what the reader does to the sealed blobs of a vault: take the old
// outer layer off where there is one, and put the new one on. It has no state.
type Rotation struct {
	Strip []Outer // of earlier rotations, at whichever reader they were
	Wrap  Outer
}

// Blob rewraps one sealed blob, of a kind that its second byte tells. Doing it again
// changes nothing. A blob under the new key, sealed by the device itself, gets the
// layer too: the reader cannot tell. Errors wrap ErrSealBroken when there is a layer
// of neither key.
func (r Rotation) Blob(vault VaultID, id BlobID, sealed []byte) ([]byte, error) {
	if r.Wrap.IsZero() {
		return nil, errors.New("cannot rewrap a blob: no key")
	}
	if len(sealed) < SealOverhead {
		return nil, fmt.Errorf("%w: cannot rewrap %s of %d bytes", ErrSealBroken, id, len(sealed))
	}
	kind := Kind(sealed[1])
	if sealed[0] == outerFormat {
		if _, err := open(r.Wrap, outerFormat, kind, vault, id, sealed); err == nil {
			return sealed, nil
		}
		inner, err := r.strip(kind, vault, id, sealed)
		if err != nil {
			return nil, err
		}
		sealed = inner
	}
	if len(sealed) > MaxBlob-SealOverhead {
		return nil, fmt.Errorf("cannot rewrap a blob of %d bytes: %w", len(sealed), ErrLimit)
	}
	return seal(r.Wrap, outerFormat, kind, vault, id, sealed)
}

// strip takes the layer off, whichever it is.
func (r Rotation) strip(kind Kind, vault VaultID, id BlobID, sealed []byte) (inner []byte, err error) {
	err = fmt.Errorf("%w: %s has an outer layer", ErrSealBroken, id)
	for _, key := range r.Strip {
		if inner, err = open(key, outerFormat, kind, vault, id, sealed); err == nil {
			return inner, nil
		}
	}
	return nil, err
}

// Rewrapped tells whether two sealed blobs of one id may differ by their outer layers
// alone, which only the device can find out for sure.
func Rewrapped(a, b []byte) bool {
	return len(a) >= SealOverhead && len(b) >= SealOverhead && a[1] == b[1] && (a[0] == outerFormat || b[0] == outerFormat)
}
