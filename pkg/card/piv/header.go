package piv

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/bits"

	"github.com/reprovision/reprovision/pkg/card"
)

// The fields of a header, by offset behind the magic. Numbers are big-endian.
const (
	headerVersion  = 1
	offVersion     = 0 // 1 byte
	offTraces      = 1 // 1 byte: 0 or 1
	offCount       = 2 // 2 bytes
	offObjects     = 4 // 4 bytes
	offSlotSize    = 8
	offPayload     = 12 // 2 bytes, then 2 zero bytes
	offLength      = 16 // 4 bytes
	offSequence    = 20 // 8 bytes
	offGeneration  = 28 // 8 bytes
	offID          = 36 // 16 bytes
	offDigest      = 52 // 32 bytes
	offExtents     = 84
	extentSize     = 5
	shortDigest    = 16
	maxExtents     = 96
	maxHeaderBytes = offExtents + maxExtents*extentSize + shortDigest
)

// minObjects is the number of objects of the smallest store: two headers, and
// one for the data of each of two versions.
const minObjects = 4

var errBadHeader = errors.New("not a header")

// extent is a range of bytes in a data object.
type extent struct {
	object object
	off, n int
}

// shape is what Format decides on. It is the same in all headers of a store.
type shape struct {
	id       [16]byte
	objects  uint32 // bit o stands for object o; the lowest two have the headers
	slotSize int    // what card.Layout says: capacity and card.HeaderSize
	payload  int    // bytes behind the magic of a data object, at most
}

// header describes one version and where its bytes are.
type header struct {
	shape
	sequence   uint64 // counts the headers written
	generation uint64 // 0: nothing was committed yet
	traces     bool   // what is outside the version is void and may be there still
	digest     [sha256.Size]byte
	extents    []extent // in the order of the version's bytes
}

// length is the number of bytes in the version.
func (h *header) length() int {
	n := 0
	for _, e := range h.extents {
		n += e.n
	}
	return n
}

// capacity is the number of bytes that a version may have: as many as fit for
// sure beside the version before.
func (s *shape) capacity() int { return s.slotSize - card.HeaderSize }

// list gives the objects in order: those of the two headers, then the others.
func (s *shape) list() []object {
	var list []object
	for o := range object(maxObjects) {
		if s.objects&(1<<o) != 0 {
			list = append(list, o)
		}
	}
	return list
}

// data lists the objects for data.
func (s *shape) data() []object { return s.list()[card.Slots:] }

// fits is the number of bytes that a version may have in a store of as many
// objects, headers included: two versions must fit that have nothing in common.
func fits(objects, payload int) int { return (objects - card.Slots) / 2 * payload }

func (h *header) encode() []byte {
	b := make([]byte, offExtents, maxHeaderBytes)
	b[offVersion] = headerVersion
	if h.traces {
		b[offTraces] = 1
	}
	binary.BigEndian.PutUint16(b[offCount:], uint16(len(h.extents)))
	binary.BigEndian.PutUint32(b[offObjects:], h.objects)
	binary.BigEndian.PutUint32(b[offSlotSize:], uint32(h.slotSize))
	binary.BigEndian.PutUint16(b[offPayload:], uint16(h.payload))
	binary.BigEndian.PutUint32(b[offLength:], uint32(h.length()))
	binary.BigEndian.PutUint64(b[offSequence:], h.sequence)
	binary.BigEndian.PutUint64(b[offGeneration:], h.generation)
	copy(b[offID:], h.id[:])
	copy(b[offDigest:], h.digest[:])
	for _, e := range h.extents {
		b = append(b, byte(e.object), byte(e.off>>8), byte(e.off), byte(e.n>>8), byte(e.n))
	}
	return append(b, digest16(b)...)
}

func digest16(b []byte) []byte {
	sum := sha256.Sum256(append([]byte(magicHeader), b...))
	return sum[:shortDigest]
}

// parseHeader accepts exactly what encode produces for a header that can be.
func parseHeader(b []byte) (*header, error) {
	n := len(b) - shortDigest
	if n < offExtents || len(b) > maxHeaderBytes || !bytes.Equal(b[n:], digest16(b[:n])) {
		return nil, errBadHeader
	}
	h := &header{
		shape: shape{
			objects:  binary.BigEndian.Uint32(b[offObjects:]),
			slotSize: int(binary.BigEndian.Uint32(b[offSlotSize:])),
			payload:  int(binary.BigEndian.Uint16(b[offPayload:])),
		},
		sequence:   binary.BigEndian.Uint64(b[offSequence:]),
		generation: binary.BigEndian.Uint64(b[offGeneration:]),
		traces:     b[offTraces] == 1,
	}
	copy(h.id[:], b[offID:])
	copy(h.digest[:], b[offDigest:])
	for rest := b[offExtents:n]; len(rest) >= extentSize; rest = rest[extentSize:] {
		h.extents = append(h.extents, extent{
			object(rest[0]), int(binary.BigEndian.Uint16(rest[1:])), int(binary.BigEndian.Uint16(rest[3:])),
		})
	}
	if !h.valid() || !bytes.Equal(b, h.encode()) { // version, lengths and zeros
		return nil, errBadHeader
	}
	return h, nil
}

// valid tells whether the fields add up.
func (h *header) valid() bool {
	count := bits.OnesCount32(h.objects)
	if h.objects>>maxObjects != 0 || count < minObjects || h.payload == 0 ||
		h.slotSize <= card.HeaderSize || h.capacity() > fits(count, h.payload) {
		return false
	}
	heads := h.list()[:card.Slots]
	for _, e := range h.extents {
		if e.object >= maxObjects || h.objects&(1<<e.object) == 0 || e.object == heads[0] || e.object == heads[1] ||
			e.n == 0 || e.off+e.n > h.payload {
			return false
		}
	}
	return h.length() <= h.capacity() && (h.generation > 0 || len(h.extents) == 0 && !h.traces)
}

// describes tells whether body is the version that the header was made for.
func (h *header) describes(body []byte) bool {
	return len(body) == h.length() && sha256.Sum256(body) == h.digest
}
