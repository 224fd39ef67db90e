package card

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// HeaderSize is the number of bytes of the header in front of each slot.
const HeaderSize = 72

// The fields of a slot header, by offset. Numbers are big-endian.
const (
	headerMagic      = "RPOB"
	headerLinear     = 1  // the body lies behind the header, in one piece: no longer written
	headerSpread     = 2  // a table behind the header says where the body lies
	offVersion       = 4  // 1 byte
	offTraces        = 5  // 1 byte: 0 or 1, in version 1 zero
	offCount         = 6  // 2 bytes: entries of the table; zero in version 1
	offGeneration    = 8  // 8 bytes
	offLength        = 16 // 4 bytes, then 4 zero bytes
	offDigest        = 24 // 32 bytes, SHA-256 of the body
	offHeaderDigest  = 56 // 16 bytes
	shortDigestBytes = 16
)

// errBadHeader is returned for bytes that are no whole header; it stays inside
// the package, where a slot that fails to parse is blank or damaged.
var errBadHeader = errors.New("not a slot header")

// header describes the version that a slot stands for.
type header struct {
	version    byte // headerLinear or headerSpread
	count      int  // entries of the table
	traces     bool // what is outside the version is void and may be there still
	generation uint64
	length     int               // bytes of body
	digest     [sha256.Size]byte // SHA-256 of the body
}

// newHeader describes a version that a table of count entries tells the place of.
func newHeader(v version, count int) header {
	return header{
		version: headerSpread, count: count, traces: v.traces, generation: v.generation,
		length: len(v.data), digest: sha256.Sum256(v.data),
	}
}

// after tells whether h stands for what came later. Of two headers of one generation the
// versions are the same, and the one without traces was written when there were none left.
func (h header) after(other header) bool {
	return h.generation > other.generation || h.generation == other.generation && other.traces && !h.traces
}

// describes tells whether body is the one that the header was made for.
func (h header) describes(body []byte) bool {
	return len(body) == h.length && sha256.Sum256(body) == h.digest
}

func (h header) encode() []byte {
	b := make([]byte, HeaderSize)
	copy(b, headerMagic)
	b[offVersion] = h.version
	if h.traces {
		b[offTraces] = 1
	}
	binary.BigEndian.PutUint16(b[offCount:], uint16(h.count))
	binary.BigEndian.PutUint64(b[offGeneration:], h.generation)
	binary.BigEndian.PutUint32(b[offLength:], uint32(h.length))
	copy(b[offDigest:], h.digest[:])
	copy(b[offHeaderDigest:], shortDigest(b[:offHeaderDigest]))
	return b
}

// parseHeader accepts exactly what encode produces, of either version, for a
// slot in which g is the room.
func parseHeader(b []byte, g geometry) (header, error) {
	if len(b) != HeaderSize || !bytes.Equal(b[offHeaderDigest:], shortDigest(b[:offHeaderDigest])) {
		return header{}, errBadHeader
	}
	h := header{
		version: b[offVersion], count: int(binary.BigEndian.Uint16(b[offCount:])), traces: b[offTraces] == 1,
		generation: binary.BigEndian.Uint64(b[offGeneration:]),
	}
	copy(h.digest[:], b[offDigest:])
	length := int64(binary.BigEndian.Uint32(b[offLength:]))
	var fits bool
	switch h.version {
	case headerLinear:
		fits = !h.traces && h.count == 0 && length <= int64(g.size-HeaderSize)
	case headerSpread:
		fits = h.count <= g.entries && length <= int64(g.capacity()) && (h.count == 0) == (length == 0)
	}
	if h.length = int(length); !fits || !bytes.Equal(b, h.encode()) { // magic and reserved bytes
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
