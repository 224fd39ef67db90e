package vault

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math/bits"

	"github.com/reprovision/reprovision/pkg/manifest"
)

// MarkStore keeps, on the device, what is needed to find the unchanged parts of a file
// that has changed: the marks of its last saved contents, by their digest. Marks that
// are missing or damaged cost bytes on the link and nothing else.
type MarkStore interface {
	// Marks returns what was put for contents of that digest; nil for none.
	Marks(d manifest.Digest) []byte
	// PutMarks keeps marks. It may keep the bytes.
	PutMarks(d manifest.Digest, marks []byte)
	// DropMarks says that no file has those contents any more.
	DropMarks(d manifest.Digest)
}

// Marks of some contents: format (1 byte) | binary logarithm of the block size (1 byte) |
// for each whole block its weak sum (4 bytes) and its strong one (8 bytes) | the strong
// sum of what is left, if anything is.
const (
	marksFormat = 1
	marksPrefix = 2
	weakBytes   = 4
	strongBytes = 8
	markBytes   = weakBytes + strongBytes

	minMarked   = 512 // bytes; smaller contents are sent whole
	minBlockLog = 8
	maxBlocks   = 1 << 15
)

type strongSum [strongBytes]byte

// blockLog is how large the blocks of contents of that size are: small enough that
// a small edit costs little, never more than maxBlocks. From 1 MiB on they are the pages
// of a database.
func blockLog(size int64) int {
	switch {
	case size <= 16<<10:
		return minBlockLog
	case size <= 64<<10:
		return 9
	case size <= 256<<10:
		return 10
	case size <= 1<<20:
		return 11
	}
	return max(12, bits.Len64(uint64(size-1)/maxBlocks))
}

// strongSums makes the strong sums of blocks: HMAC-SHA256, cut to 8 bytes. They are keyed, so
// that nobody can make contents whose blocks pass for others.
type strongSums struct {
	mac hash.Hash
	out []byte
}

func newStrongSums(key Key) *strongSums { return &strongSums{mac: hmac.New(sha256.New, key.mark[:])} }

func (s *strongSums) of(block []byte) strongSum {
	s.mac.Reset()
	s.mac.Write(block)
	s.out = s.mac.Sum(s.out[:0])
	return strongSum(s.out[:strongBytes])
}

// weakPrime is the base of the weak sum, a polynomial of the bytes modulo 2^32. It can be
// moved on by a byte at a time.
const weakPrime = 0x01000193

func weakOf(block []byte) uint32 {
	var h uint32
	for _, b := range block {
		h = h*weakPrime + uint32(b) + 1
	}
	return h
}

// weakPower is what the oldest of n bytes is multiplied with.
func weakPower(n int) uint32 {
	p := uint32(1)
	for range n - 1 {
		p *= weakPrime
	}
	return p
}

// marker makes marks of contents as they are read.
type marker struct {
	sums  *strongSums
	block []byte // the open one
	size  int
	out   []byte
}

// start begins anew, for contents of about that size.
func (m *marker) start(size int64) {
	log := blockLog(size)
	m.size, m.block = 1<<log, m.block[:0]
	m.out = append(make([]byte, 0, marksPrefix+int(size>>log+1)*markBytes), marksFormat, byte(log))
}

// Write implements io.Writer. It never fails.
func (m *marker) Write(p []byte) (int, error) {
	n := len(p)
	if len(m.block) > 0 {
		k := min(len(p), m.size-len(m.block))
		m.block, p = append(m.block, p[:k]...), p[k:]
		if len(m.block) < m.size {
			return n, nil
		}
		m.put(m.block)
		m.block = m.block[:0]
	}
	for ; len(p) >= m.size; p = p[m.size:] {
		m.put(p[:m.size])
	}
	m.block = append(m.block, p...)
	return n, nil
}

func (m *marker) put(block []byte) {
	if len(m.out) > marksPrefix+maxBlocks*markBytes {
		return // it has grown beyond what was expected; parseMarks refuses it
	}
	m.out = binary.BigEndian.AppendUint32(m.out, weakOf(block))
	strong := m.sums.of(block)
	m.out = append(m.out, strong[:]...)
}

// finish returns the marks.
func (m *marker) finish() []byte {
	if len(m.block) > 0 {
		strong := m.sums.of(m.block)
		m.out = append(m.out, strong[:]...)
	}
	return m.out
}

// blockIndex finds blocks by their sums.
type blockIndex struct {
	size   int // of a block
	count  int
	at     map[blockSums]int32 // the first of equal ones
	sums   []blockSums
	filter [1 << 10]uint64 // of weak sums, to pass over most bytes quickly
	tail   strongSum
	rest   int // bytes behind the last whole block
}

type blockSums struct {
	weak   uint32
	strong strongSum
}

// parseMarks reads the marks of contents of that size; false for what is none.
func parseMarks(marks []byte, size int64) (*blockIndex, bool) {
	if len(marks) < marksPrefix || marks[0] != marksFormat || size < minMarked || int(marks[1]) != blockLog(size) {
		return nil, false
	}
	x := &blockIndex{size: 1 << marks[1]}
	x.count, x.rest = int(size>>marks[1]), int(size&int64(x.size-1))
	want := marksPrefix + x.count*markBytes
	if x.rest > 0 {
		want += strongBytes
	}
	if len(marks) != want || x.count > maxBlocks {
		return nil, false
	}
	x.at, x.sums = make(map[blockSums]int32, x.count), make([]blockSums, x.count)
	b := marks[marksPrefix:]
	for i := range x.sums {
		s := blockSums{binary.BigEndian.Uint32(b), strongSum(b[weakBytes:])}
		b, x.sums[i] = b[markBytes:], s
		if _, twice := x.at[s]; !twice {
			x.at[s] = int32(i)
		}
		x.filter[s.weak>>16&0x3ff] |= 1 << (s.weak >> 26)
	}
	if x.rest > 0 {
		x.tail = strongSum(b)
	}
	return x, true
}

// may tells quickly that there is no block of that weak sum.
func (x *blockIndex) may(weak uint32) bool { return x.filter[weak>>16&0x3ff]&(1<<(weak>>26)) != 0 }

// find returns the number of a block with these bytes; next is preferred.
func (x *blockIndex) find(weak uint32, block []byte, next int, sums *strongSums) (int, bool) {
	if !x.may(weak) {
		return 0, false
	}
	s := blockSums{weak, sums.of(block)}
	if next < x.count && x.sums[next] == s {
		return next, true
	}
	i, ok := x.at[s]
	return int(i), ok
}
