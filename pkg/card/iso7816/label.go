package iso7816

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"github.com/reprovision/reprovision/pkg/card"
)

// The fields in which the label of a slot of several segments differs from that
// of package card, by offset. Numbers are big-endian.
const (
	spreadVersion  = 2
	offVersion     = 4  // 1 byte
	offSegments    = 5  // 1 byte
	offSegmentSize = 6  // 2 bytes
	offDigest      = 28 // 16 bytes
)

// label is what the label EF holds: the label of package card, and how each slot
// is spread over EFs.
type label struct {
	card.Label
	segments    int // in each slot, 1 to MaxSegments
	segmentSize int // bytes in each segment; the last may have fewer
}

// spread says over which segments the slots of l go.
func spread(l card.Label) label {
	size := min(l.SlotSize, MaxSegmentSize)
	return label{Label: l, segments: segmentsOf(l.SlotSize, size), segmentSize: size}
}

// segmentsOf is the number of segments that a slot takes.
func segmentsOf(slotSize, segmentSize int) int { return (slotSize + segmentSize - 1) / segmentSize }

// encode gives the card.LabelSize bytes of the label EF. A slot of one segment
// has the label of package card as it is.
func (l label) encode() []byte {
	b := l.Label.Encode()
	if l.segments == 1 {
		return b
	}
	b[offVersion], b[offSegments] = spreadVersion, byte(l.segments)
	binary.BigEndian.PutUint16(b[offSegmentSize:], uint16(l.segmentSize))
	sealLabel(b)
	return b
}

// parseLabel accepts exactly what encode produces for a label that can be, and
// returns card.ErrBadLabel for anything else.
func parseLabel(b []byte) (label, error) {
	if len(b) != card.LabelSize {
		return label{}, card.ErrBadLabel
	}
	if b[offVersion] == spreadVersion {
		return parseSpread(b)
	}
	l, err := card.ParseLabel(b)
	if err == nil && l.SlotSize > MaxSegmentSize {
		err = card.ErrBadLabel
	}
	if err != nil {
		return label{}, err
	}
	return spread(l), nil
}

// parseSpread takes the label of several segments apart: what it has in common
// with the other version is left to package card, the rest is checked here.
func parseSpread(b []byte) (label, error) {
	common := bytes.Clone(b)
	copy(common[offVersion:], []byte{1, 0, 0, 0})
	sealLabel(common)
	parsed, err := card.ParseLabel(common)
	if err != nil {
		return label{}, err
	}
	l := label{Label: parsed, segments: int(b[offSegments]), segmentSize: int(binary.BigEndian.Uint16(b[offSegmentSize:]))}
	if !l.valid() || !bytes.Equal(b, l.encode()) {
		return label{}, card.ErrBadLabel
	}
	return l, nil
}

// valid tells whether a label of several segments adds up. The header of a slot
// always lies in its first segment.
func (l label) valid() bool {
	return l.segments > 1 && l.segments <= MaxSegments &&
		l.segmentSize > card.HeaderSize && l.segmentSize <= MaxSegmentSize &&
		segmentsOf(l.SlotSize, l.segmentSize) == l.segments
}

// sealLabel sets the digest over the bytes before it.
func sealLabel(b []byte) {
	sum := sha256.Sum256(b[:offDigest])
	copy(b[offDigest:], sum[:card.LabelSize-offDigest])
}
