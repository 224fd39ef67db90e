package card

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// HeaderSize is the number of bytes in front of the body in each slot.
const HeaderSize = 72

// The fields of a slot header, by offset. Numbers are big-endian.
const (
	headerMagic      = "RPOB"
	headerVersion    = 1
	offVersion       = 4  // 1 byte, then 3 zero bytes
	offGeneration    = 8  // 8 bytes
	offLength        = 16 // 4 bytes, then 4 zero bytes
	offDigest        = 24 // 32 bytes, SHA-256 of the body
	offHeaderDigest  = 56 // 16 bytes
	shortDigestBytes = 16
)

// errBadHeader is returned for bytes that are no whole header; it stays inside
// the package, where a slot that fails to parse is blank or damaged.
var errBadHeader = errors.New("not a slot header")

// header describes the version that a slot holds.
type header struct {
	generation uint64
	length     int               // bytes of body
	digest     [sha256.Size]byte // SHA-256 of the body
}

func newHeader(generation uint64, body []byte) header {
	return header{generation: generation, length: len(body), digest: sha256.Sum256(body)}
}

// describes tells whether body is the one that the header was made for.
func (h header) describes(body []byte) bool {
	return len(body) == h.length && sha256.Sum256(body) == h.digest
}

func (h header) encode() []byte {
	b := make([]byte, HeaderSize)
	copy(b, headerMagic)
	b[offVersion] = headerVersion
	binary.BigEndian.PutUint64(b[offGeneration:], h.generation)
	binary.BigEndian.PutUint32(b[offLength:], uint32(h.length))
	copy(b[offDigest:], h.digest[:])
	copy(b[offHeaderDigest:], shortDigest(b[:offHeaderDigest]))
	return b
}

// parseHeader accepts exactly what encode produces for a body of at most
// capacity bytes.
func parseHeader(b []byte, capacity int) (header, error) {
	if len(b) != HeaderSize || !bytes.Equal(b[offHeaderDigest:], shortDigest(b[:offHeaderDigest])) {
		return header{}, errBadHeader
	}
	length := binary.BigEndian.Uint32(b[offLength:])
	if int64(length) > int64(capacity) {
		return header{}, errBadHeader
	}
	h := header{generation: binary.BigEndian.Uint64(b[offGeneration:]), length: int(length)}
	copy(h.digest[:], b[offDigest:])
	if !bytes.Equal(b, h.encode()) { // magic, version and reserved bytes
		return header{}, errBadHeader
	}
	return h, nil
}

// shortDigest is the first half of a SHA-256: it guards against torn writes and
// worn cells, not against a forger, who could write a whole header anyway.
func shortDigest(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:shortDigestBytes]
}

// blank tells whether the bytes were never written: cards deliver fresh memory
// as zeros or as ones.
func blank(b []byte) bool {
	return len(bytes.Trim(b, "\x00")) == 0 || len(bytes.Trim(b, "\xff")) == 0
}
