package card

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// LabelSize is the number of bytes of an encoded Label.
const LabelSize = 44

// MaxSlotSize bounds the slots that any profile may claim to have, in bytes.
const MaxSlotSize = 16 << 20

// MinSlotSize is the size of the smallest slots that are made, in bytes: below,
// there is room for a header and a table, and hardly any for data. Cards with
// smaller ones were made before there were tables.
const MinSlotSize = HeaderSize + 4*entryShare

// The fields of a label, by offset. Numbers are big-endian.
const (
	labelMagic     = "RPLB"
	labelVersion   = 1
	offLabelVer    = 4  // 1 byte, then 3 zero bytes
	offSlotSize    = 8  // 4 bytes
	offLabelID     = 12 // 16 bytes
	offLabelDigest = 28 // 16 bytes
)

// ErrBadLabel means that bytes are not a whole label.
var ErrBadLabel = errors.New("not a card label")

// Label marks a card as formatted. Profiles write it as the last step of Format
// and keep it beside the slots; it never changes afterwards.
type Label struct {
	SlotSize int      // bytes in each slot, header included
	ID       [16]byte // random, tells one card from another of the same make
}

// NewLabel makes the label of a freshly formatted card, with a random ID.
func NewLabel(slotSize int) (Label, error) {
	if slotSize < MinSlotSize || slotSize > MaxSlotSize {
		return Label{}, fmt.Errorf("cannot make slots of %d bytes: allowed are %d to %d", slotSize, MinSlotSize, MaxSlotSize)
	}
	l := Label{SlotSize: slotSize}
	if _, err := rand.Read(l.ID[:]); err != nil {
		return Label{}, fmt.Errorf("cannot make a card ID: %w", err)
	}
	return l, nil
}

// String is the ID in hexadecimal.
func (l Label) String() string { return hex.EncodeToString(l.ID[:]) }

// Encode gives the LabelSize bytes that are stored on the card.
func (l Label) Encode() []byte {
	b := make([]byte, LabelSize)
	copy(b, labelMagic)
	b[offLabelVer] = labelVersion
	binary.BigEndian.PutUint32(b[offSlotSize:], uint32(l.SlotSize))
	copy(b[offLabelID:], l.ID[:])
	copy(b[offLabelDigest:], shortDigest(b[:offLabelDigest]))
	return b
}

// ParseLabel decodes a label. It accepts exactly what Encode produces and
// returns ErrBadLabel for anything else.
func ParseLabel(b []byte) (Label, error) {
	if len(b) != LabelSize || !bytes.Equal(b[offLabelDigest:], shortDigest(b[:offLabelDigest])) {
		return Label{}, ErrBadLabel
	}
	size := binary.BigEndian.Uint32(b[offSlotSize:])
	if size <= HeaderSize || size > MaxSlotSize {
		return Label{}, ErrBadLabel
	}
	l := Label{SlotSize: int(size)}
	copy(l.ID[:], b[offLabelID:])
	if !bytes.Equal(b, l.Encode()) {
		return Label{}, ErrBadLabel
	}
	return l, nil
}
