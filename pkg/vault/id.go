package vault

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrBadID is wrapped by every error about a string or byte string that is no id.
var ErrBadID = errors.New("not an id of 16 bytes")

// idSize is the length of every id in bytes.
const idSize = 16

// VaultID identifies a vault: all snapshots of one device's user-data space
// that are sealed with one key.
type VaultID [idSize]byte

// BlobID identifies a sealed blob within its vault. To the reader it is opaque;
// on the device it is a keyed digest of the blob's contents (Key.BlobID).
type BlobID [idSize]byte

// SnapshotID identifies a snapshot, that is a committed data set, in its vault.
type SnapshotID [idSize]byte

// NewVaultID draws a random vault id.
func NewVaultID() VaultID { return VaultID(randomID()) }

// NewSnapshotID draws a random snapshot id. Repeat an interrupted full backup
// under the same id: its packs then get the same ids, and what the reader has
// already need not be sent again.
func NewSnapshotID() SnapshotID { return SnapshotID(randomID()) }

func randomID() (id [idSize]byte) {
	rand.Read(id[:]) // never fails: it ends the process where there is no randomness
	return id
}

// String is the id in 32 lower-case hexadecimal digits.
func (id VaultID) String() string { return hex.EncodeToString(id[:]) }

// String is the id in 32 lower-case hexadecimal digits.
func (id BlobID) String() string { return hex.EncodeToString(id[:]) }

// String is the id in 32 lower-case hexadecimal digits.
func (id SnapshotID) String() string { return hex.EncodeToString(id[:]) }

// IsZero tells whether the id is all zeros, which stands for "none".
func (id VaultID) IsZero() bool { return id == VaultID{} }

// IsZero tells whether the id is all zeros, which stands for "none".
func (id BlobID) IsZero() bool { return id == BlobID{} }

// IsZero tells whether the id is all zeros, which stands for "none".
func (id SnapshotID) IsZero() bool { return id == SnapshotID{} }

// ParseVaultID reads what String wrote; errors wrap ErrBadID.
func ParseVaultID(s string) (VaultID, error) {
	id, err := parseID(s)
	return VaultID(id), err
}

// ParseBlobID reads what String wrote; errors wrap ErrBadID.
func ParseBlobID(s string) (BlobID, error) {
	id, err := parseID(s)
	return BlobID(id), err
}

// ParseSnapshotID reads what String wrote; errors wrap ErrBadID.
func ParseSnapshotID(s string) (SnapshotID, error) {
	id, err := parseID(s)
	return SnapshotID(id), err
}

func parseID(s string) (id [idSize]byte, err error) {
	if len(s) != hex.EncodedLen(idSize) {
		return id, fmt.Errorf("%w: %d characters", ErrBadID, len(s))
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return id, fmt.Errorf("%w: %w", ErrBadID, err)
	}
	return [idSize]byte(b), nil
}

// joinIDs writes ids one after the other, as every list of ids is encoded.
func joinIDs(ids []BlobID) []byte {
	b := make([]byte, 0, len(ids)*idSize)
	for _, id := range ids {
		b = append(b, id[:]...)
	}
	return b
}

// splitIDs reads what joinIDs wrote and refuses more than limit ids and an id
// that stands twice.
func splitIDs(b []byte, limit int) ([]BlobID, error) {
	if len(b)%idSize != 0 {
		return nil, fmt.Errorf("%w: a list of %d bytes", ErrBadID, len(b))
	}
	if len(b)/idSize > limit {
		return nil, fmt.Errorf("%w: %d ids", ErrLimit, len(b)/idSize)
	}
	var ids []BlobID
	for ; len(b) > 0; b = b[idSize:] {
		ids = append(ids, BlobID(b[:idSize]))
	}
	return ids, uniqueIDs(ids)
}

func uniqueIDs(ids []BlobID) error {
	seen := make(map[BlobID]bool, len(ids))
	for _, id := range ids {
		if seen[id] {
			return fmt.Errorf("%w: %s stands twice", ErrBadID, id)
		}
		seen[id] = true
	}
	return nil
}
